// SPDX-License-Identifier: GPL-2.0-only
/* Programs: an op and its arguments, checked once (facet_validate.c). */
#include "facet_drv.h"

static void release(struct kref *ref)
{
	kfree(container_of(ref, struct facet_prog, ref));
}

struct facet_prog *facet_prog_get(struct facet_file *file, u32 handle)
{
	struct facet_prog *prog;

	xa_lock(&file->programs);
	prog = xa_load(&file->programs, handle);
	if (prog)
		kref_get(&prog->ref);
	xa_unlock(&file->programs);
	return prog;
}

void facet_prog_put(struct facet_prog *prog)
{
	kref_put(&prog->ref, release);
}

void facet_progs_free(struct facet_file *file)
{
	struct facet_prog *prog;
	unsigned long handle;

	xa_for_each (&file->programs, handle, prog)
		facet_prog_put(prog);
	xa_destroy(&file->programs);
}

static bool any_unit_has(const struct facet_device *facet, u32 op)
{
	u32 c;

	for (c = 0; c < facet->classes; c++)
		if (facet->class[c].ops >> op & 1)
			return true;
	return false;
}

static int prog_make(struct facet_device *facet, const struct drm_facet_prog_create *args,
		     struct facet_prog *prog)
{
	int err;

	if (args->op >= SHELL_OPS || !any_unit_has(facet, args->op))
		return -EOPNOTSUPP;
	if (copy_from_user(prog->args, u64_to_user_ptr(args->args), args->args_size))
		return -EFAULT;
	err = facet_validate(args->op, prog->args, args->args_size, args->bytes, args->operands,
			     &prog->extents);
	return err;
}

int facet_prog_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_file *file = drm_file->driver_priv;
	struct drm_facet_prog_create *args = data;
	struct facet_prog *prog;
	int err = facet_file_check(file);

	if (err)
		return err;
	if (args->flags || args->pad || args->prog || args->args_size > FACET_ARGS_MAX)
		return -EINVAL;
	if (atomic_inc_return(&file->program_count) > FACET_PROGRAMS) {
		err = -EBUSY;
		goto uncount;
	}
	prog = kzalloc(sizeof(*prog), GFP_KERNEL);
	if (!prog) {
		err = -ENOMEM;
		goto uncount;
	}
	kref_init(&prog->ref);
	err = prog_make(to_facet(drm), args, prog);
	if (!err)
		err = xa_alloc(&file->programs, &args->prog, prog, xa_limit_31b, GFP_KERNEL);
	if (!err)
		return 0;
	facet_prog_put(prog);
uncount:
	atomic_dec(&file->program_count);
	return err;
}

int facet_prog_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_file *file = drm_file->driver_priv;
	const struct drm_facet_prog_destroy *args = data;
	struct facet_prog *prog;

	if (args->pad)
		return -EINVAL;
	prog = xa_erase(&file->programs, args->prog);
	if (!prog)
		return -ENOENT;
	facet_prog_put(prog);
	atomic_dec(&file->program_count);
	return 0;
}
