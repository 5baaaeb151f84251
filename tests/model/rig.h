/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of models share: a device to run on, files loaded, inputs filled. */
#ifndef FACET_TESTS_MODEL_RIG_H
#define FACET_TESTS_MODEL_RIG_H

#include "daemon/model/model.h"
#include "tests/model/fct.h"

/* Runs them as one batch and waits: the batch's error. */
int rig_run(struct device *device, const struct device_command *commands, uint32_t count);
struct device *rig_cpu(uint32_t threads);
/* model_load() of the graph; the second ends the test where it is refused. */
int rig_try(const struct fct *fct, struct model **model, char *text);
struct model *rig_load(const struct fct *fct);
/* Random values for the graph's inputs, as interpret() wants them. */
void rig_inputs(struct fct *fct, const struct model_info *info, void **values);
void rig_free(void **values); /* [FCT_TENSORS] */

#endif
