/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: what it says, and that each mistake names its line and a remedy. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/net/config.h"
#include "daemon/net/rights.h"
#include "tests/suite.h"

static char text[CONFIG_TEXT];

static int load(const char *content, struct config **config)
{
	char path[] = "/tmp/facet-config-XXXXXX";
	int fd = mkstemp(path);
	int err;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	err = config_load(path, config, text);
	unlink(path);
	return err;
}

START_TEST(test_defaults)
{
	struct config *config;

	ck_assert_int_eq(config_load(NULL, &config, text), 0);
	ck_assert_uint_eq(config->queue, 4096);
	ck_assert_uint_eq(config->slice_us, 5000);
	ck_assert_uint_eq(config->delay_us, 0);
	ck_assert_uint_eq(config->mapped_bytes, 1ull << 30);
	ck_assert_ptr_null(config->socket);
	ck_assert_uint_eq(config->tenant_count, 0);
	config_free(config);
}
END_TEST

START_TEST(test_every_kind_of_value)
{
	struct config *config;
	const struct config_tenant *gate, *lab, *box;

	ck_assert_msg(load("; a comment\n"
			   "[daemon]\nsocket = /run/x/s\ndrain_seconds = 3\n"
			   "[limits]\nqueue = 7\nmapped_bytes = 3M\nin_flight = 9\n"
			   "[device cpu]\nthreads = 2\npin = 0-1\nqueue = 5\n"
			   "[tenant gate]\nuids = 1001, root\ngids = 33\n"
			   "rights = search-image, verify\ngalleries = staff\n"
			   "gallery.visitors = enrol, delete\nweight = 4\nmapped_bytes = 1G\n"
			   "[tenant lab]\nuids = 5\nuids = 6\nrate = 10\n"
			   "[tenant box]\nsocket = /run/x/box\nmode = 0600\ngroup = root\n"
			   "class = batch\nclasses = batch\nqueue = 3\ngallery_quota = 2\n"
			   "template_quota = 1000\n",
			   &config) == 0,
		      "%s", text);
	ck_assert_str_eq(config->socket, "/run/x/s");
	ck_assert_uint_eq(config->drain_seconds, 3);
	ck_assert_uint_eq(config->queue, 7);
	ck_assert_uint_eq(config->device_queue, 5);
	ck_assert_str_eq(config->pin, "0-1");
	ck_assert_uint_eq(config->tenant_count, 3);
	gate = &config->tenants[0];
	lab = &config->tenants[1];
	ck_assert_str_eq(gate->name, "gate");
	ck_assert_uint_eq(gate->uid_count, 2);
	ck_assert_uint_eq(gate->uids[0], 1001);
	ck_assert_uint_eq(gate->uids[1], 0);
	ck_assert_uint_eq(gate->gids[0], 33);
	ck_assert_uint_eq(gate->rights, RIGHT_SEARCH_IMAGE | RIGHT_VERIFY);
	ck_assert_uint_eq(gate->grant_count, 2);
	ck_assert_str_eq(gate->grants[0].gallery, "staff");
	ck_assert_uint_eq(gate->grants[0].rights, 0);
	ck_assert_uint_eq(gate->grants[1].rights, RIGHT_ENROL | RIGHT_DELETE);
	ck_assert_uint_eq(gate->weight, 4);
	ck_assert_uint_eq(gate->mapped_bytes, 1ull << 30);
	ck_assert_uint_eq(gate->in_flight, 9);
	ck_assert_uint_eq(lab->uid_count, 2);
	ck_assert_uint_eq(lab->mapped_bytes, 3ull << 20);
	ck_assert_uint_eq(lab->rate, 10);
	ck_assert_uint_eq(lab->rights, 0);
	ck_assert_ptr_null(lab->socket);
	ck_assert_int_eq(lab->class, CONFIG_INTERACTIVE);
	ck_assert_uint_eq(lab->classes, 1u << CONFIG_INTERACTIVE | 1u << CONFIG_BATCH);
	ck_assert_uint_eq(lab->queue, 1024);
	ck_assert_uint_eq(lab->gallery_quota, 0);
	box = &config->tenants[2];
	ck_assert_str_eq(box->socket, "/run/x/box");
	ck_assert_str_eq(box->group, "root");
	ck_assert_uint_eq(box->mode, 0600);
	ck_assert_uint_eq(gate->mode, 0660);
	ck_assert_int_eq(box->class, CONFIG_BATCH);
	ck_assert_uint_eq(box->classes, 1u << CONFIG_BATCH);
	ck_assert_uint_eq(box->queue, 3);
	ck_assert_uint_eq(box->gallery_quota, 2);
	ck_assert_uint_eq(box->template_quota, 1000);
	config_free(config);
}
END_TEST

/* What is written, where the mistake is, and a word of the remedy. */
static const struct {
	const char *content;
	int line;
	const char *remedy;
} mistakes[] = {
	{"[daemon]\nsokcet = /x\n", 2, "see facetd.conf.example"},
	{"[deamon]\nsocket = /x\n", 2, "[device cpu]"},
	{"socket = /x\n", 1, "no section"},
	{"[daemon]\nsocket = run/s\n", 2, "start it with /"},
	{"[daemon]\nsocket =\n", 2, "write one or leave the line out"},
	{"[daemon]\nstate = /a\nstate = /b\n", 3, "keep one"},
	{"[daemon]\n\n\nwhat is this\n", 4, "key = value"},
	{"[limits]\nqueue = many\n", 2, "write digits only"},
	{"[limits]\nqueue = -1\n", 2, "write digits only"},
	{"[limits]\nqueue = 0\n", 2, "write 1 to 1000000"},
	{"[limits]\nqueue = 99999999999999999999999\n", 2, "digits"},
	{"[limits]\nmapped_bytes = 1X\n", 2, "K, M, G or T"},
	{"[limits]\nmapped_bytes = 99999999999T\n", 2, "K, M, G or T"},
	{"[limits]\nbatch = 65\n", 2, "1 to 64"},
	{"[limits]\nbatch = 16K\n", 2, "digits only"},
	{"[tenant x]\nuids = 1\nrights = serach-image\n", 3, "search-image"},
	{"[tenant x]\nuids = 1\nrihgts = verify\n", 3, "it has uids"},
	{"[tenant x]\nuids = nobody-of-this-name\n", 2, "name or number"},
	{"[tenant x]\nuids = 4294967295\n", 2, "out of range"},
	{"[tenant x]\ngids = no-group-of-this-name\n", 2, "name or number"},
	{"[tenant x]\nuids = 1\ngalleries = St/aff\n", 3, "a-z 0-9"},
	{"[tenant x]\nuids = 1\ngallery.staff = \n", 3, "name some"},
	{"[tenant X Y]\nuids = 1\n", 2, "a-z 0-9"},
	{"[tenant x]\nuids = 1\nweight = 0\n", 3, "1 to 1000"},
	{"[tenant x]\nrights = verify\n", 2, "say who it is"},
	{"[tenant x]\nsocket = run/x\n", 2, "start it with /"},
	{"[tenant x]\nsocket = /a\nsocket = /b\n", 3, "keep one"},
	{"[tenant x]\nsocket = /a\nmode = 0888\n", 3, "octal"},
	{"[tenant x]\nsocket = /a\nmode = 1777\n", 3, "octal"},
	{"[tenant x]\nuids = 1\nclass = fast\n", 3, "interactive, batch"},
	{"[tenant x]\nuids = 1\nclasses = batch, fast\n", 3, "interactive, batch"},
	{"[tenant x]\nuids = 1\nclasses = batch\n", 3, "add it to classes"},
	{"[tenant x]\nuids = 1\nqueue = 0\n", 3, "1 to 1000000"},
	{"[tenant x]\nuids = 1\ngroup = root\n", 3, "write gids"},
	{"[tenant x]\nsocket = /a\n[tenant y]\nsocket = /a\n", 4, "each its own"},
	{"[tenant local]\nuids = 1\n", 2, "built in"},
	{"[tenant nobody]\nuids = 1\n", 2, "built in"},
};

START_TEST(test_a_device_outlives_its_configuration)
{
	struct config *config;
	struct config_device device;

	ck_assert_int_eq(
		load("[device b0]\nkind = opencl\nselect = some board\ntimeout_ms = 70\n", &config),
		0);
	ck_assert_int_eq(config_device_copy(&config->devices[0], &device), 0);
	config_free(config);
	ck_assert_str_eq(device.name, "b0");
	ck_assert_str_eq(device.kind, "opencl");
	ck_assert_str_eq(device.select, "some board");
	ck_assert_ptr_null(device.image);
	ck_assert_uint_eq(device.timeout_ms, 70);
	config_device_clear(&device);
	ck_assert_ptr_null(device.kind);
}
END_TEST

START_TEST(test_mistakes_name_line_and_remedy)
{
	struct config *config = NULL;
	const char *colon;

	ck_assert_msg(load(mistakes[_i].content, &config) == -EINVAL, "accepted: %s",
		      mistakes[_i].content);
	ck_assert_ptr_null(config);
	colon = strchr(text, ':');
	ck_assert_ptr_nonnull(colon);
	ck_assert_msg(atoi(colon + 1) == mistakes[_i].line, "%s", text);
	ck_assert_msg(strstr(text, mistakes[_i].remedy) != NULL, "%s", text);
	ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(test_long_lines_are_an_error)
{
	char content[1000] = "[tenant x]\nuids = ";
	struct config *config = NULL;

	while (strlen(content) < 900)
		strcat(content, "1, ");
	strcat(content, "\n");
	ck_assert_int_eq(load(content, &config), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, ":2: "));
	ck_assert_ptr_nonnull(strstr(text, "split it"));
}
END_TEST

START_TEST(test_a_missing_file)
{
	struct config *config = NULL;

	ck_assert_int_eq(config_load("/nonexistent/facetd.conf", &config, text), -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, "/nonexistent/facetd.conf"));
}
END_TEST

START_TEST(test_the_example_is_legal)
{
	struct config *config = NULL;

	ck_assert_msg(config_load("docs/facetd.conf.example", &config, text) == 0, "%s", text);
	ck_assert_uint_ge(config->tenant_count, 2);
	config_free(config);
}
END_TEST

START_TEST(test_keys_that_need_a_start_are_named)
{
	static const char before[] = "[daemon]\ngroup = a\nkey_file = /k\n[limits]\nqueue = 9\n";
	static const char after[] = "[daemon]\ngroup = b\nstate = /s\ndisk_reserve = 1\n"
				    "key_file = /k\ndrain_seconds = 1\nlog = debug\n"
				    "[limits]\nqueue = 10\n[device cpu]\nqueue = 3\npin = 0\n";
	struct config *now, *next;

	ck_assert_msg(load(before, &now) == 0, "%s", text);
	ck_assert_msg(load(after, &next) == 0, "%s", text);
	ck_assert(config_needs_start(now, next, text));
	ck_assert_str_eq(text, "state, group, disk_reserve, [device cpu] queue, [device cpu] pin");
	ck_assert(!config_needs_start(next, next, text));
	config_free(now);
	config_free(next);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, test_defaults);
	tcase_add_test(tcase, test_every_kind_of_value);
	tcase_add_test(tcase, test_a_device_outlives_its_configuration);
	tcase_add_loop_test(tcase, test_mistakes_name_line_and_remedy, 0,
			    (int)(sizeof(mistakes) / sizeof(mistakes[0])));
	tcase_add_test(tcase, test_long_lines_are_an_error);
	tcase_add_test(tcase, test_a_missing_file);
	tcase_add_test(tcase, test_the_example_is_legal);
	tcase_add_test(tcase, test_keys_that_need_a_start_are_named);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
