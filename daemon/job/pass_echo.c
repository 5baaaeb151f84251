/* SPDX-License-Identifier: Apache-2.0 */
/* Echo: through everything a job goes through, with nothing to compute. */
#include "daemon/job/service.h"

/* All zero is DEVICE_ECHO without operands. */
static const struct device_command echo_commands[PASS_UNITS_MAX];

static int echo_slice(struct pass *pass, struct slice *slice)
{
	(void)pass;
	slice->batch.commands = echo_commands;
	slice->batch.count = slice->count;
	return 0;
}

const struct pass_kind pass_echo = {.name = "echo", .slice = echo_slice};

static void echo_ran(struct job *job)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	reply.body_case = FACET__WIRE__REPLY__BODY_ECHO;
	reply.echo = job->request->echo;
	job_reply(job, &reply, NULL, 0);
}

void handle_echo(struct job *job)
{
	job_schedule(job, &job->service->echo, 1, echo_ran);
}
