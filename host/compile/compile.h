/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler: a float network in, an int8 network (.fct, proto/model.proto) out.
 *
 * compile_network() reads an ONNX file, folds and equalises it, runs it in float over calibration
 * samples, quantises it, measures every layer and the result against the float network, and writes
 * the file. The same network, samples and options give the same bytes.
 *
 * A sample is what the daemon will get as the network's input: width x height pixels of channels
 * bytes (RGB or grey), aligned and resized by the caller.
 */
#ifndef FACET_HOST_COMPILE_COMPILE_H
#define FACET_HOST_COMPILE_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPILE_TEXT	     400 /* an error: one line that says what to do */
#define COMPILE_CHANNELS_MAX 4u
#define COMPILE_SAMPLES_MAX  1000u
#define COMPILE_PERCENTILE   99.99

struct compile_input {
	uint32_t width, height, channels;
};

/*
 * Writes sample number index (0, 1, ...) to pixels (height x width x channels bytes); returns 1, or
 * 0 when there are no more, or a negative errno. Called with rising index, from the caller's thread.
 */
typedef int compile_sample_fn(void *context, uint32_t index, const struct compile_input *input,
			      uint8_t *pixels);

/* What is being done now; of total steps, done are finished. Nonzero stops with -ECANCELED. */
typedef int compile_progress_fn(void *context, const char *what, uint32_t done, uint32_t total);

struct compile_options {
	const char *network; /* the ONNX file */
	const char *output;  /* the .fct file; NULL measures only */
	const char *name;    /* of the model; NULL: the network file's name without its ending */

	/* real = (pixel - mean[c]) / scale[c]; with scale[0] == 0: (pixel - 127) / 128 */
	float mean[COMPILE_CHANNELS_MAX], scale[COMPILE_CHANNELS_MAX];

	compile_sample_fn *sample;
	uint32_t samples_max; /* ask for at most so many; 0: 200 */
	void *sample_context;

	double percentile;   /* of a tensor's values inside its int8 range; 0: COMPILE_PERCENTILE */
	bool no_equalise;    /* leave the weights' scales between layers as they are */
	bool not_template;   /* the output is no template even if it is one vector */
	bool allow_collapse; /* write even if different samples give the same template */

	compile_progress_fn *progress; /* or NULL */
	void *progress_context;
};

struct compile_layer {
	char *name; /* of the network's node */
	const char *kind;
	uint32_t rank, shape[4];
	uint64_t macs;
	double sqnr; /* dB against float, over the measured samples; infinite when equal */
};

struct compile_report {
	char *name;
	struct compile_input input;
	struct compile_layer *layer;
	uint32_t layers, samples;
	uint64_t macs, weight_bytes, arena_bytes, file_bytes;
	bool is_template;
	uint32_t outputs, dim; /* dim of output 0 */
	/* Over the measured samples, all outputs joined: mean cosine of int8 and float, raw and with
	 * the mean over samples taken away; mean cosine between different samples. */
	double cosine, centred_cosine, spread, spread_float;
	uint8_t digest[32], space_digest[32];
};

/*
 * 0 and a report. Otherwise a negative errno, one line in text, and no file:
 *   -EINVAL the network, a sample or an option; -ENOTSUP operators, all named; -EFBIG over a bound;
 *   -ERANGE collapse: different samples give (nearly) the same template; -ENOMEM; -ECANCELED; or what
 *   the file system or the sample callback said.
 */
int compile_network(const struct compile_options *options, struct compile_report **report,
		    char text[COMPILE_TEXT]);
void compile_report_free(struct compile_report *report);

/* The size of the samples a network wants, without compiling it; errors as above. */
int compile_inspect(const char *network, struct compile_input *input, char text[COMPILE_TEXT]);

/*
 * The float network itself, run here and now: the oracle that int8 is judged by, and a detector for
 * the photos of a calibration before there is any compiled one. mean and scale as in
 * compile_options; NULL: (pixel - 127) / 128.
 */
struct compile_float;
int compile_float_open(const char *network, const float *mean, const float *scale,
		       struct compile_float **net, char text[COMPILE_TEXT]);
void compile_float_close(struct compile_float *net);
void compile_float_input(const struct compile_float *net, struct compile_input *input);
uint32_t compile_float_outputs(const struct compile_float *net);
/* Output i of the last run: [rows][columns], columns the innermost extent; before any run only the
 * extents are of use. */
const float *compile_float_output(const struct compile_float *net, uint32_t i, uint32_t *rows,
				  uint32_t *columns);
/* pixels: height x width x channels. */
int compile_float_run(struct compile_float *net, const uint8_t *pixels);

#endif
