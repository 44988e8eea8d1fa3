// SPDX-License-Identifier: Apache-2.0
/*
 * date: days to a calendar date, counted in years that begin in March.
 *
 * With March first, the leap day is the last day of the year and the lengths of
 * the months follow one line: month m begins on day (153 m + 2) / 5.
 */
#include "wire/date.h"

enum {
	DAY_S = 86400,
	ERA_YEARS = 400,
	ERA_DAYS = 146097,   /* of 400 years */
	EPOCH_DAYS = 719468, /* from 1 March 0000 to 1970-01-01 */
	EPOCH_WEEKDAY = 4,   /* Thursday */
	MARCH = 2,           /* counted from January = 0 */
};

/* 9999-12-31 23:59:59. Not among the enums: it would make them all as wide. */
#define YEAR_MAX_S 253402300799

struct civil {
	unsigned year;
	unsigned month; /* January is 0 */
	unsigned day;   /* 1 to 31 */
};

static struct civil civil_from_days(unsigned days)
{
	unsigned since_march_0 = days + EPOCH_DAYS;
	unsigned era = since_march_0 / ERA_DAYS;
	unsigned day_of_era = since_march_0 % ERA_DAYS;
	/* Take the leap days out, then a year has 365 days. */
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				day_of_era / (ERA_DAYS - 1)) /
			       365;
	unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month = (5 * day_of_year + 2) / 153;
	struct civil civil = {
		.year = era * ERA_YEARS + year_of_era + (month >= 12 - MARCH),
		.month = (month + MARCH) % 12,
		.day = day_of_year - (153 * month + 2) / 5 + 1,
	};

	return civil;
}

static void write_digits(char *at, unsigned value, unsigned count)
{
	while (count-- > 0) {
		at[count] = (char)('0' + value % 10); /* one digit fits */
		value /= 10;
	}
}

void date_write(uint64_t unix_s, char text[DATE_BYTES])
{
	static const char weekdays[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t s = unix_s < YEAR_MAX_S ? unix_s : YEAR_MAX_S;
	unsigned days = (unsigned)(s / DAY_S); /* below 3 million */
	unsigned second = (unsigned)(s % DAY_S);
	struct civil civil = civil_from_days(days);

	memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", DATE_BYTES);
	memcpy(text, weekdays + (size_t)3 * ((days + EPOCH_WEEKDAY) % 7), 3);
	write_digits(text + 5, civil.day, 2);
	memcpy(text + 8, months + (size_t)3 * civil.month, 3);
	write_digits(text + 12, civil.year, 4);
	write_digits(text + 17, second / 3600, 2);
	write_digits(text + 20, second / 60 % 60, 2);
	write_digits(text + 23, second % 60, 2);
}
