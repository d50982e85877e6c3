/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is known of each mount namespace: a slot, claimed here in the kernel by the first thing that is recorded in it.
 * Nothing is sent to anybody, so nothing can be lost with nobody reading. */
#pragma once
#include "kernel.h"

/* How many namespaces can be told apart at once; user space makes the map this large. */
#define SLOTS 16384
/* How far a slot may be from where it should be. */
#define PROBES 16
/* 640 calls: kernels are at 471, x32 ends at 547. */
#define WORDS 10
#define NAME 128
/* The longest line of parents that is followed to find the first process. */
#define ANCESTORS 64

enum abi { NATIVE, COMPAT, X32, ABIS };

/* What a namespace is. */
enum state { CLAIMED = 1, HOST = 2, CONTAINER = 3 };

struct slot {
	u64 ns;      /* never used again by another namespace; 0: free */
	u64 state;
	u64 cgroup;  /* its id */
	u64 since;   /* CLOCK_MONOTONIC, nanoseconds */
	u64 newest;  /* when a bit was set last */
	u64 first;   /* tgid of the first process, as the host counts */
	u64 overflow; /* calls with a number that has no bit */
	u64 inode;    /* of the namespace: another one may have it when this one is gone */
	u64 workload[ABIS][WORDS];
	u64 setup[ABIS][WORDS]; /* made by the runtime before the workload's first exec */
	u64 denied[ABIS][WORDS]; /* refused by a filter before they began */
	char leaf[NAME];   /* name of the cgroup */
	char parent[NAME]; /* and of the one above */
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, SLOTS);
	TYPE(key, u32);
	TYPE(value, struct slot);
} slots SEC(".maps");

/* Counters of what could not be recorded. */
struct lost {
	u64 namespaces; /* calls in namespaces for which there was no slot */
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct lost);
} losses SEC(".maps");

INLINE u64 namespace_id(struct mnt_namespace *ns)
{
	if (HAS(ns->ns.ns_id))
		return ns->ns.ns_id;
	return ns->seq;
}

/* Ids are given out in runs: consecutive ones must not lie side by side. */
INLINE u32 place_of(u64 ns)
{
	return (u32)((ns * 0x9e3779b97f4a7c15ULL) >> 40);
}

INLINE struct slot *slot_at(u32 place)
{
	u32 key = place & (SLOTS - 1);

	return map_lookup(&slots, &key);
}

INLINE void describe(struct slot *slot, struct task_struct *task, struct mnt_namespace *ns)
{
	struct kernfs_node *node = task->cgroups->dfl_cgrp->kn;
	struct kernfs_node *above;

	slot->inode = ns->ns.inum;
	slot->first = task->tgid;
	slot->cgroup = get_current_cgroup_id();
	slot->since = ktime_get_ns();
	if (!node)
		return;
	probe_read_kernel_str(slot->leaf, NAME, node->name);
	if (HAS(node->__parent))
		above = node->__parent;
	else
		above = node->parent;
	if (above)
		probe_read_kernel_str(slot->parent, NAME, above->name);
}

/* Whether a namespace is the one of the first process. */
static __attribute__((noinline)) int is_host(u64 ns)
{
	struct task_struct *task = get_current_task_btf();

	for (int i = 0; i < ANCESTORS; i++) {
		struct task_struct *above = task->real_parent;

		if (!above || task->tgid <= 1)
			break;
		task = above;
	}
	if (!task->nsproxy || !task->nsproxy->mnt_ns)
		return 0;
	return task->tgid <= 1 && namespace_id(task->nsproxy->mnt_ns) == ns;
}

INLINE struct slot *claim(u64 ns, u32 place, struct task_struct *task, struct mnt_namespace *mnt_ns)
{
	for (int i = 0; i < PROBES; i++) {
		struct slot *slot = slot_at(place + i);
		u64 before;

		if (!slot)
			return 0;
		if (slot->ns == ns)
			return slot;
		if (slot->ns)
			continue;
		before = __sync_val_compare_and_swap(&slot->ns, 0, ns);
		if (before == 0) {
			describe(slot, task, mnt_ns);
			slot->state = is_host(ns) ? HOST : CONTAINER;
			return slot;
		}
		if (before == ns)
			return slot;
	}
	return 0;
}

/* Whether a call is the workload's own and not a runtime's: it is filtered, or its parent is inside as well, or its
 * program comes from inside. */
INLINE int is_workload(struct task_struct *task, struct mnt_namespace *ns)
{
	struct task_struct *parent = task->real_parent;
	struct mm_struct *mm = task->mm;
	struct mnt_namespace *from = 0;
	struct vfsmount *mount;
	struct file *file;

	if (task->seccomp.mode)
		return 1;
	if (parent && parent->nsproxy && parent->nsproxy->mnt_ns == ns)
		return 1;
	if (!mm)
		return 0;
	file = mm->exe_file;
	if (!file)
		return 0;
	mount = file->f_path.mnt;
	if (!mount)
		return 0;
	probe_read_kernel(&from, sizeof(from),
			  (void *)mount - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0) +
				  __builtin_preserve_field_info(((struct mount *)0)->mnt_ns, 0));
	return from == ns;
}

INLINE void lose(void)
{
	u32 key = 0;
	struct lost *lost = map_lookup(&losses, &key);

	if (lost)
		__sync_fetch_and_add(&lost->namespaces, 1);
}

INLINE struct mnt_namespace *namespace_of(struct task_struct *task)
{
	struct nsproxy *nsproxy = task->nsproxy;

	return nsproxy ? nsproxy->mnt_ns : 0;
}

INLINE struct slot *find(u64 ns)
{
	for (int i = 0; i < PROBES; i++) {
		struct slot *slot = slot_at(place_of(ns) + i);

		if (!slot || slot->ns == ns)
			return slot;
	}
	return 0;
}
