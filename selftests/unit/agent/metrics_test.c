// SPDX-License-Identifier: Apache-2.0
/* The text format of Prometheus: sums, generations, buckets, and the form of every line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/metrics.h"

static struct counters counters[3]; /* of two workers, and `before` */
static struct tally_segment segment = { .worker_count = 2, .at = counters };
static struct tally tally = { .first = &segment, .current = &segment };

static char *render(struct buf *out)
{
	buf_init(out, 0);
	metrics_add_counters(out, &tally);
	buf_add_char(out, '\0');
	return out->at;
}

static void test_workers_are_summed(void **state)
{
	struct buf out;
	char *text;

	(void)state;
	counters[0].requests = 40;
	counters[1].requests = 2;
	counters[0].connections_active = 1;
	counters[1].connections_active = 4;
	counters[0].image_generation = 9;
	counters[1].image_generation = 8;
	text = render(&out);
	assert_non_null(strstr(text, "# HELP sluice_requests_total Requests whose head was read in "
				     "full.\n# TYPE sluice_requests_total counter\n"
				     "sluice_requests_total 42\n"));
	assert_non_null(strstr(text, "# TYPE sluice_connections_active gauge\n"
				     "sluice_connections_active 5\n"));
	/* What every worker has reached. */
	assert_non_null(strstr(text, "\nsluice_image_generation 8\n"));
	assert_null(strstr(text, "heartbeat"));
	buf_release(&out);
}

static void test_durations_are_a_histogram(void **state)
{
	struct buf out;
	char *text;

	(void)state;
	memset(counters, 0, sizeof(counters));
	counters[0].duration_buckets[0] = 1;
	counters[1].duration_buckets[0] = 2;
	counters[1].duration_buckets[2] = 4;
	counters[0].duration_buckets[COUNTERS_DURATION_BUCKETS - 1] = 8;
	counters[0].duration_sum_us = 1500000;
	text = render(&out);
	assert_non_null(strstr(text, "_seconds_bucket{le=\"0.000064\"} 3\n"));
	assert_non_null(strstr(text, "_seconds_bucket{le=\"0.000128\"} 3\n"));
	assert_non_null(strstr(text, "_seconds_bucket{le=\"0.000256\"} 7\n"));
	assert_non_null(strstr(text, "_seconds_bucket{le=\"+Inf\"} 15\n"));
	assert_non_null(strstr(text, "_seconds_sum 1.500000\n"));
	assert_non_null(strstr(text, "_seconds_count 15\n"));
	buf_release(&out);
}

/* Each line is a comment or "name value"; HELP and TYPE stand once and before the samples. */
static void test_the_form_of_every_line(void **state)
{
	struct buf out;
	struct str rest, line;
	char helped[128] = "";

	(void)state;
	rest = str_from_c(render(&out));
	while (str_take_part(&rest, '\n', &line)) {
		size_t space = str_find_char(line, ' ');

		if (line.len == 0)
			continue;
		if (str_starts_with(line, STR("# HELP "))) {
			struct str name = str_slice(line, 7, line.len);

			name.len = str_find_char(name, ' ');
			snprintf(helped, sizeof(helped), "%.*s", STR_ARG(name));
			continue;
		}
		if (str_starts_with(line, STR("# TYPE ")))
			continue;
		assert_true(space < line.len);
		if (!str_starts_with(line, str_from_c(helped)))
			fail_msg("'%.*s' follows the help of '%s'", STR_ARG(line), helped);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_are_summed),
		cmocka_unit_test(test_durations_are_a_histogram),
		cmocka_unit_test(test_the_form_of_every_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
