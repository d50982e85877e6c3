/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Programs that do nothing: the floor that the cost of recording is compared with. */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}

SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}
