/* SPDX-License-Identifier: Apache-2.0 */
/* An OpenCL driver that does not survive being loaded. */
#include <signal.h>

__attribute__((constructor)) static void crash(void)
{
	raise(SIGSEGV);
}
