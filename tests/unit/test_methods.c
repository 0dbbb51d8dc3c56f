/* SPDX-License-Identifier: ISC */
/* The table of methods against the interface file, roles, and the pages of lists. */
#include <string.h>

#include "common/varlink.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"
#include "tests/unit/unit.h"

enum kind { KIND_READ, KIND_MUTATE, KIND_ADD, KIND_STREAM, KIND_UPGRADE };

static const struct {
	const char *name;
	enum control_role role;
	enum kind kind;
} rows[] = {
#define X(name, role, kind, touches) {#name, CONTROL_##role, KIND_##kind},
    METHODS(X)
#undef X
};

static struct varlink_interface *
control(void)
{
	struct varlink_interface *interface;

	ck_assert_int_eq(varlink_interface_parse(varlink_control_text, &interface, NULL), 0);
	return interface;
}

static bool
has_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return true;
	return false;
}

static bool
has_method(const struct varlink_interface *interface, const char *name)
{
	const char *method;

	for (size_t i = 0; (method = varlink_interface_method(interface, i)); i++)
		if (strcmp(method, name) == 0)
			return true;
	return false;
}

START_TEST(every_method_has_a_row_and_every_row_a_method)
{
	struct varlink_interface *interface = control();
	const char *method;

	for (size_t i = 0; (method = varlink_interface_method(interface, i)); i++)
		ck_assert_msg(has_row(method), "%s has no row", method);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(has_method(interface, rows[i].name), "%s is not in the interface",
			      rows[i].name);
	varlink_interface_free(interface);
}
END_TEST

/* A method takes a key if and only if it changes something: read from the text of its input. */
START_TEST(what_changes_takes_a_key)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char begin[64], *input;
		const char *from;

		snprintf(begin, sizeof(begin), "\nmethod %s(", rows[i].name);
		from = strstr(varlink_control_text, begin);
		ck_assert_ptr_nonnull(from);
		from += strlen(begin);
		input = xstrndup(from, (size_t)(strstr(from, "->") - from));
		ck_assert_msg((strncmp(input, "key:", 4) == 0 || strstr(input, " key:") != NULL) ==
				  (rows[i].kind == KIND_MUTATE || rows[i].kind == KIND_ADD),
			      "%s", rows[i].name);
		free(input);
	}
}
END_TEST

START_TEST(viewers_change_nothing)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_ne(rows[i].role, CONTROL_NOBODY);
		if (rows[i].kind == KIND_MUTATE || rows[i].kind == KIND_ADD ||
		    rows[i].kind == KIND_UPGRADE)
			ck_assert_msg(rows[i].role > CONTROL_VIEWER, "%s", rows[i].name);
	}
}
END_TEST

static const struct {
	int line;
	const char *after;
	int parts;
	bool good;
	int64_t a, b;
} cursors[] = {
    {__LINE__, "0:0", 2, true, 0, 0},
    {__LINE__, "1795374229000000:42", 2, true, 1795374229000000, 42},
    {__LINE__, "42", 1, true, 42, 0},
    {__LINE__, "42", 2, false, 0, 0},
    {__LINE__, "42:", 2, false, 0, 0},
    {__LINE__, "42:7x", 2, false, 0, 0},
    {__LINE__, "42:7", 1, false, 0, 0},
    {__LINE__, "-1", 1, false, 0, 0},
    {__LINE__, "", 1, false, 0, 0},
    {__LINE__, "99999999999999999999999", 1, false, 0, 0},
};

START_TEST(cursors_are_read_strictly)
{
	for (size_t i = 0; i < ARRAY_SIZE(cursors); i++) {
		json_t *parameters = json_pack("{s:s}", "after", cursors[i].after);
		struct request request = {.parameters = parameters};
		struct page page = {0};
		int r = page_begin(&request, cursors[i].parts, &page, NULL);

		ck_assert_msg((r == 0) == cursors[i].good, "line %d", cursors[i].line);
		if (r == 0) {
			ck_assert_int_eq(page.after[0], cursors[i].a);
			ck_assert_int_eq(page.after[1], cursors[i].b);
		}
		page_clear(&page);
		json_decref(parameters);
	}
}
END_TEST

START_TEST(a_page_ends_by_count)
{
	json_t *parameters = json_pack("{s:i}", "limit", 2), *reply;
	struct request request = {.parameters = parameters};
	struct page page = {0};

	ck_assert_int_eq(page_begin(&request, 2, &page, NULL), 0);
	ck_assert(page_add(&page, json_object(), 10, 1));
	ck_assert(page_add(&page, json_object(), 10, 2));
	ck_assert(!page_add(&page, json_object(), 10, 3));
	reply = page_reply(&page, "jobs");
	ck_assert_str_eq(json_string_value(json_object_get(reply, "next")), "10:2");
	ck_assert_int_eq(json_array_size(json_object_get(reply, "jobs")), 2);
	json_decref(reply);
	json_decref(parameters);
}
END_TEST

START_TEST(a_page_ends_by_size)
{
	json_t *parameters = json_object(), *reply;
	struct request request = {.parameters = parameters};
	struct page page = {0};
	char *large = xcalloc(1, 400001);
	int n = 0;

	memset(large, 'x', 400000);
	large[400000] = '\0';
	ck_assert_int_eq(page_begin(&request, 1, &page, NULL), 0);
	while (page_add(&page, json_string(large), n + 1, -1))
		n++;
	ck_assert_int_eq(n, 2);
	reply = page_reply(&page, "jobs");
	ck_assert_str_eq(json_string_value(json_object_get(reply, "next")), "2");
	json_decref(reply);
	json_decref(parameters);
	free(large);
}
END_TEST

START_TEST(a_whole_list_has_no_next)
{
	json_t *parameters = json_object(), *reply;
	struct request request = {.parameters = parameters};
	struct page page = {0};

	ck_assert_int_eq(page_begin(&request, 1, &page, NULL), 0);
	ck_assert(page_add(&page, json_object(), 1, -1));
	reply = page_reply(&page, "jobs");
	ck_assert(json_is_null(json_object_get(reply, "next")));
	json_decref(reply);
	json_decref(parameters);
}
END_TEST

UNIT_MAIN("methods", every_method_has_a_row_and_every_row_a_method, what_changes_takes_a_key,
	  viewers_change_nothing, cursors_are_read_strictly, a_page_ends_by_count,
	  a_page_ends_by_size, a_whole_list_has_no_next)
