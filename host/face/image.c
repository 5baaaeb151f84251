/* SPDX-License-Identifier: Apache-2.0 */
/* Images in memory, and reading them from a file of either format. */
#include "host/face/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int face_fail(char text[FACET_FACE_TEXT], int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, FACET_FACE_TEXT, format, args);
	va_end(args);
	return error;
}

int face_image_check(uint64_t width, uint64_t height, char text[FACET_FACE_TEXT])
{
	if (!width || !height)
		return face_fail(text, -EINVAL, "the image has no pixels");
	if (width > FACET_FACE_MAX_SIDE || height > FACET_FACE_MAX_SIDE ||
	    width * height > FACET_FACE_MAX_PIXELS)
		return face_fail(text, -EFBIG,
				 "the image has %llu x %llu pixels: reduce it to at most %u a side "
				 "and %u megapixels",
				 (unsigned long long)width, (unsigned long long)height,
				 FACET_FACE_MAX_SIDE, FACET_FACE_MAX_PIXELS >> 20);
	return 0;
}

int facet_face_image_create(uint32_t width, uint32_t height, struct facet_face_image *image)
{
	char text[FACET_FACE_TEXT];
	int r = face_image_check(width, height, text);

	if (r < 0)
		return r;
	image->rgb = calloc((size_t)width * height, 3);
	if (!image->rgb)
		return -ENOMEM;
	image->width = width;
	image->height = height;
	return 0;
}

void facet_face_image_free(struct facet_face_image *image)
{
	free(image->rgb);
	*image = (struct facet_face_image){0};
}

static const struct {
	const char *magic;
	size_t bytes;
	int (*decode)(const uint8_t *data, size_t bytes, struct facet_face_image *image,
		      int *orientation, char text[FACET_FACE_TEXT]);
} formats[] = {
	{"\xff\xd8\xff", 3, face_jpeg_decode},
	{"\x89PNG\r\n\x1a\n", 8, face_png_decode},
};

int facet_face_image_decode(const void *data, size_t bytes, struct facet_face_image *image,
			    char text[FACET_FACE_TEXT])
{
	int orientation = 0, r;

	*image = (struct facet_face_image){0};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (bytes < formats[i].bytes || memcmp(data, formats[i].magic, formats[i].bytes))
			continue;
		r = formats[i].decode(data, bytes, image, &orientation, text);
		if (r == 0 && (r = face_image_orient(image, orientation)) < 0)
			face_fail(text, r, "out of memory for the image");
		if (r < 0)
			facet_face_image_free(image);
		return r;
	}
	return face_fail(text, -EINVAL, "neither JPEG nor PNG: convert the photo to one of them");
}

static int read_whole(int fd, uint8_t *data, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = read(fd, data + at, bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		at += (size_t)n;
	}
	return 0;
}

int facet_face_image_load(const char *path, struct facet_face_image *image,
			  char text[FACET_FACE_TEXT])
{
	uint8_t *data = NULL;
	struct stat st;
	int fd, r;

	*image = (struct facet_face_image){0};
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = face_fail(text, -errno, "cannot read it: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		r = face_fail(text, -EINVAL, "not a regular file");
		goto out;
	}
	if (st.st_size < 1 || st.st_size > FACET_FACE_MAX_FILE) {
		r = face_fail(text, st.st_size ? -EFBIG : -EINVAL,
			      st.st_size ? "the file is over 256 MiB" : "the file is empty");
		goto out;
	}
	data = malloc((size_t)st.st_size);
	r = data ? read_whole(fd, data, (size_t)st.st_size) : -ENOMEM;
	if (r < 0)
		face_fail(text, r, "cannot read it: %s", strerror(-r));
	else
		r = facet_face_image_decode(data, (size_t)st.st_size, image, text);
out:
	free(data);
	if (fd >= 0)
		close(fd);
	return r;
}
