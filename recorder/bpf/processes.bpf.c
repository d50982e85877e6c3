/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Where processes were that have ended: a record of one that lived for a millisecond is read when nobody can look at it any
 * more. An object of its own: it is of use only while somebody reads records. */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Those that ended last; a record is read some milliseconds after it was written. */
#define ENDED 16384
#define NAME 120

struct ended {
	u64 start; /* CLOCK_BOOTTIME, nanoseconds */
	u64 end;
	u64 inode; /* of the mount namespace; 0 where it was in none any more */
	char leaf[NAME];   /* name of the cgroup */
	char parent[NAME]; /* and of the one above */
};

struct {
	UINT(type, BPF_MAP_TYPE_LRU_HASH);
	UINT(max_entries, ENDED);
	TYPE(key, u32); /* tgid, as the host counts: what records call pid */
	TYPE(value, struct ended);
} ended SEC(".maps");

/* Each thread comes through here, before it leaves its namespaces and its cgroup: the last one of a process is what counts. */
SEC("raw_tp/sched_process_exit")
int process_ended(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	struct kernfs_node *node = task->cgroups->dfl_cgrp->kn;
	struct nsproxy *nsproxy = task->nsproxy;
	struct kernfs_node *above;
	struct ended this = {};
	u32 process = task->tgid;

	this.start = task->group_leader->start_boottime;
	this.end = ktime_get_boot_ns();
	if (nsproxy)
		this.inode = nsproxy->mnt_ns->ns.inum;
	if (node) {
		probe_read_kernel_str(this.leaf, NAME, node->name);
		if (HAS(node->__parent))
			above = node->__parent;
		else
			above = node->parent;
		if (above)
			probe_read_kernel_str(this.parent, NAME, above->name);
	}
	map_update(&ended, &process, &this, BPF_ANY);
	return 0;
}
