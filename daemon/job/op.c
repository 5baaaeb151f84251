/* SPDX-License-Identifier: Apache-2.0 */
/* The requests there are: name, where the gallery's name stands, the right it takes, the handler. */
#include <stddef.h>

#include "daemon/job/service.h"
#include "daemon/net/rights.h"

#define AT(type) offsetof(Facet__Wire__##type, gallery)

static const struct op ops[METRICS_OPS] = {
	[FACET__WIRE__REQUEST__BODY_ECHO] = {"echo", -1, 0, handle_echo},
	[FACET__WIRE__REQUEST__BODY_INFO] = {"info", -1, 0, handle_info},
	[FACET__WIRE__REQUEST__BODY_MODEL_CREATE] = {"model_create", -1, RIGHT_ADMIN,
						     handle_model_create},
	[FACET__WIRE__REQUEST__BODY_MODEL_LIST] = {"model_list", -1, 0, handle_model_list},
	[FACET__WIRE__REQUEST__BODY_MODEL_DELETE] = {"model_delete", -1, RIGHT_ADMIN,
						     handle_model_delete},
	[FACET__WIRE__REQUEST__BODY_GALLERY_CREATE] = {"gallery_create", -1, 0,
						       handle_gallery_create},
	[FACET__WIRE__REQUEST__BODY_GALLERY_LIST] = {"gallery_list", -1, 0, handle_gallery_list},
	[FACET__WIRE__REQUEST__BODY_GALLERY_DELETE] = {"gallery_delete",
						       offsetof(Facet__Wire__GalleryDelete, name),
						       RIGHT_ADMIN, handle_gallery_delete},
	[FACET__WIRE__REQUEST__BODY_ENROL] = {"enrol", AT(Enrol), RIGHT_ENROL, handle_enrol},
	[FACET__WIRE__REQUEST__BODY_SEARCH] = {"search", AT(Search), 0, handle_search},
	[FACET__WIRE__REQUEST__BODY_VERIFY] = {"verify", AT(Verify), RIGHT_VERIFY, handle_verify},
	[FACET__WIRE__REQUEST__BODY_COMPARE] = {"compare", -1, RIGHT_VERIFY, handle_compare},
	[FACET__WIRE__REQUEST__BODY_INFER] = {"infer", -1, 0, handle_infer},
	[FACET__WIRE__REQUEST__BODY_GEMM] = {"gemm", -1, RIGHT_RAW_KERNEL, handle_gemm},
	[FACET__WIRE__REQUEST__BODY_CONV2D] = {"conv2d", -1, RIGHT_RAW_KERNEL, handle_conv2d},
	[FACET__WIRE__REQUEST__BODY_SUBJECT_LIST] = {"subject_list", AT(SubjectList), RIGHT_EXPORT,
						     handle_subject_list},
	[FACET__WIRE__REQUEST__BODY_SUBJECT_SHOW] = {"subject_show", AT(SubjectShow), RIGHT_EXPORT,
						     handle_subject_show},
	[FACET__WIRE__REQUEST__BODY_SUBJECT_DELETE] = {"subject_delete", AT(SubjectDelete),
						       RIGHT_DELETE, handle_subject_delete},
	[FACET__WIRE__REQUEST__BODY_TEMPLATE_DELETE] = {"template_delete", AT(TemplateDelete),
							RIGHT_DELETE, handle_template_delete},
	[FACET__WIRE__REQUEST__BODY_EXPORT] = {"export", AT(Export), RIGHT_EXPORT, handle_export},
	[FACET__WIRE__REQUEST__BODY_SPACE_THRESHOLDS] = {"space_thresholds", -1, 0,
							 handle_space_thresholds},
	[FACET__WIRE__REQUEST__BODY_DEVICE_LIST] = {"device_list", -1, RIGHT_ADMIN,
						    handle_device_list},
	[FACET__WIRE__REQUEST__BODY_DEVICE_CHANGE] = {"device_change", -1, RIGHT_ADMIN,
						      handle_device_change},
};

const struct op *op_find(uint32_t body_case)
{
	return body_case < METRICS_OPS && ops[body_case].name ? &ops[body_case] : NULL;
}

const char *op_name(uint32_t op)
{
	return op == 0 ? "none" : op < METRICS_OPS ? ops[op].name : NULL;
}
