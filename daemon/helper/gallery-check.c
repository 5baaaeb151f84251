/* SPDX-License-Identifier: Apache-2.0 */
/* facet-gallery-check: see daemon/gallery/check.h. */
#include "daemon/gallery/check.h"

int main(int argc, char **argv)
{
	return gallery_check_main(argc, argv);
}
