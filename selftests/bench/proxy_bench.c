// SPDX-License-Identifier: Apache-2.0
/*
 * What a worker does with a request besides system calls, in nanoseconds: finding the
 * route, writing both heads, picking an endpoint, writing a log line. A keepalive
 * request costs the sum of the first four; its four system calls cost ten times that.
 */
#include <stdio.h>

#include "base/clock.h"
#include "proxy/access_log.h"
#include "proxy/request.h"
#include "proxy/response.h"
#include "unit/proxy/site.h"

enum { ROUNDS = 300000, REPEATS = 5 };

static const char request_text[] = "GET /cart/items?id=7 HTTP/1.1\r\nHost: shop.example.com\r\n"
				   "User-Agent: bench/1\r\nAccept: */*\r\n\r\n";
static const char response_text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				    "Content-Length: 128\r\n\r\n";

static struct site site;
static struct worker *worker;
static struct conn conn;
static struct stream stream;
static char room[65536];

static void prepare_stream(void)
{
	stream = (struct stream){ .conn = &conn, .worker = worker, .keeps_alive = true };
}

static void parse_request(void)
{
	h1_request_init(&worker->request, H1_HEAD_BYTES_DEFAULT);
	h1_request_parse(&worker->request, STR(request_text));
}

static void route(void)
{
	struct request_refusal refusal;

	prepare_stream();
	if (!request_route(&stream, &worker->request, &refusal))
		abort();
}

static void write_request(void)
{
	struct h1_out out;

	h1_out_init(&out, room, sizeof(room));
	request_write_head(&stream, &worker->request, &out);
}

static void pick(void)
{
	if (!balance_pick(&worker->balance, worker->config->endpoints, 0, NULL, 0))
		abort();
}

static void parse_response(void)
{
	h1_response_init(&worker->response, H1_HEAD_BYTES_DEFAULT, false);
	h1_response_parse(&worker->response, STR(response_text));
}

static void write_response(void)
{
	struct h1_out out;

	if (response_is_plain(&stream, &worker->response))
		abort();
	h1_out_init(&out, room, sizeof(room));
	response_write_head(&stream, &worker->response, worker_date(worker), &out);
}

static void write_log_line(void)
{
	access_log_begin(&stream, &worker->request);
	access_log_end(&stream);
	blocks_put(&worker->blocks, stream.record);
	worker->log.taken = worker->log.written;
}

static void measure(const char *name, void (*what)(void))
{
	uint64_t best_ns = UINT64_MAX;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		uint64_t began_ns = clock_monotonic_ns(), took_ns;

		for (int i = 0; i < ROUNDS; i++)
			what();
		took_ns = clock_monotonic_ns() - began_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	printf("%-28s %7.1f ns\n", name, (double)best_ns / ROUNDS);
}

static void begin(void)
{
	struct addr addr;

	site_init(&site, 1);
	site_make_workers(&site);
	worker = site.workers.at[0];
	addr_parse(STR("10.0.0.7:8080"), &addr, NULL);
	site_add_route(&site, "shop.example.com", "/", 0);
	site_add_route(&site, "shop.example.com", "/cart", 0);
	for (int i = 0; i < 10; i++)
		site_add_endpoint(&site, 0, &addr, ENDPOINT_READY);
	site_publish(&site, false);
	worker->config = site.workers.published;
	site_must(balance_reserve(&worker->balance, 1), "balance");
	conn.worker = worker;
	conn.client = addr;
	conn.listener = &worker->listeners[0];
	conn.forwarded_len =
		(uint16_t)snprintf(conn.forwarded, sizeof(conn.forwarded),
				   "X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n"
				   "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n");
}

int main(void)
{
	begin();
	measure("parse a request", parse_request);
	measure("find its route", route);
	measure("write the endpoint's head", write_request);
	measure("pick an endpoint", pick);
	measure("parse a response", parse_response);
	measure("write the client's head", write_response);
	measure("write a log line", write_log_line);
	site_release(&site);
	return 0;
}
