/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What others do, for measurements: each system call in a mount namespace that is not the first one is an event, which
 * somebody has to read before there is no room left. */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct event {
	u64 time;
	u32 namespace;
	u32 process;
	u64 call;
};

struct {
	UINT(type, BPF_MAP_TYPE_RINGBUF);
	UINT(max_entries, 1 << 20);
} events SEC(".maps");

/* How many found no room. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u64);
} lost SEC(".maps");

/* The namespace that nothing is told of, written by user space. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u64);
} host SEC(".maps");

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	struct nsproxy *nsproxy = task->nsproxy;
	struct event *event;
	u32 key = 0, inode;
	u64 *counter, *first;

	if (!nsproxy || !nsproxy->mnt_ns)
		return 0;
	inode = nsproxy->mnt_ns->ns.inum;
	first = map_lookup(&host, &key);
	if (!first || *first == inode)
		return 0;
	event = ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		counter = map_lookup(&lost, &key);
		if (counter)
			__sync_fetch_and_add(counter, 1);
		return 0;
	}
	event->time = ktime_get_ns();
	event->namespace = inode;
	event->process = task->tgid;
	event->call = ctx->args[1];
	ringbuf_submit(event, 0);
	return 0;
}
