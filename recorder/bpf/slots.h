/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is known of each mount namespace: a slot, claimed here in the kernel by the first thing that is recorded in it.
 * Nothing is sent to anybody, so nothing can be lost with nobody reading. */
#pragma once
#include "machine.h"

/* How many namespaces can be told apart at once; user space makes the map this large. */
#define SLOTS 16384
/* How far a slot may be from where it should be: 10,000 namespaces are never further than 40 off. */
#define PROBES 128
/* 640 calls: kernels are at 471, x32 ends at 547. */
#define WORDS 10
#define NAME 120
/* The longest line of parents that is followed to find the first process. */
#define ANCESTORS 64

/* What a namespace is. */
enum state { CLAIMED = 0, HOST = 2, CONTAINER = 3 };

/* What nobody wants to know of a namespace. What is unknown is recorded until user space has looked at it. */
enum muted { NO_ACCESSES = 1, NO_PERMISSIONS = 2 };

/* Members that each call looks at come first, for most calls in one cache line. 1,024 bytes: none is in two pages. */
struct slot {
	u64 ns;    /* never used again by another namespace; 0: free, ~0: about to be free */
	u32 state;
	u32 muted; /* user space sets it, programs only read it */
	u64 workload[ABIS][WORDS];
	u64 setup[ABIS][WORDS]; /* made by the runtime before the workload's first exec */
	u64 denied[ABIS][WORDS]; /* refused by a filter before they began */
	u64 cgroup;  /* its id */
	u64 since;   /* CLOCK_MONOTONIC, nanoseconds */
	u64 newest;  /* when a bit was set last */
	u64 first;   /* the first process, as the reader counts; 0 where it does not see it */
	u64 overflow; /* calls with a number that has no bit */
	u64 inode;    /* of the namespace: another one may have it when this one is gone */
	u64 above;    /* the namespace in which the parent of the first process was */
	char leaf[NAME];       /* name of the cgroup */
	char parent[NAME - 8]; /* and of the one above */
};

_Static_assert(sizeof(struct slot) == 1024, "slots do not cross pages");

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, SLOTS);
	UINT(map_flags, BPF_F_MMAPABLE);
	TYPE(key, u32);
	TYPE(value, struct slot);
} slots SEC(".maps");

/* What could not be recorded, for want of room. */
enum loss { LOST_NAMESPACES, LOST_ACCESSES, LOST_PERMISSIONS, LOSSES };

struct control {
	u64 lost[LOSSES]; /* how many times */
	u64 used[SLOTS / 64]; /* a bit for each slot that is claimed and described */
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	UINT(map_flags, BPF_F_MMAPABLE);
	TYPE(key, u32);
	TYPE(value, struct control);
} control SEC(".maps");

/* What is where in these two, and which form the others have, in words: user space writes it before a program runs, so
 * that a recorder of another version finds all that was recorded. */
struct form {
	char words[1024];
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct form);
} form SEC(".maps");

INLINE u64 namespace_id(struct mnt_namespace *ns)
{
	u64 id;

	if (HAS(ns->ns.ns_id)) {
		id = ns->ns.ns_id;
		/* Else the compiler makes both loads one, from a place that is then computed in each call. */
		asm volatile("" : "+r"(id));
		return id;
	}
	return ns->seq;
}

/* The same by helpers, of what nothing is known of. */
INLINE u64 namespace_id_of(struct nsproxy *nsproxy)
{
	struct mnt_namespace *ns = 0;
	u64 id = 0;

	READ(ns, nsproxy, mnt_ns);
	if (HAS(ns->ns.ns_id))
		READ(id, ns, ns.ns_id);
	else
		READ(id, ns, seq);
	return id;
}

/* Ids are given out in runs: consecutive ones must not lie side by side. The upper bits are those that are spread best. */
INLINE u32 place_of(u64 ns)
{
	return (u32)((ns * 0x9e3779b97f4a7c15ULL) >> 50);
}

INLINE struct slot *slot_at(u32 place)
{
	u32 key = place & (SLOTS - 1);

	return map_lookup(&slots, &key);
}

INLINE struct mnt_namespace *namespace_of(struct task_struct *task)
{
	struct nsproxy *nsproxy = task->nsproxy;

	return nsproxy ? nsproxy->mnt_ns : 0;
}

/* The inode of the PID namespace whose numbers the reader knows processes by; 0 for the first one. User space says it
 * before programs are loaded. */
const volatile u32 reader_counts_in = 0;

/* MAX_PID_NS_LEVEL of linux/pid_namespace.h. */
#define LEVELS 32

APART u32 process_in_reader(void)
{
	struct task_struct *task = get_current_task_btf(), *leader = 0;
	struct pid *pid = 0;
	struct upid number;
	u32 level = 0, inode;
	const char *numbers;

	READ(leader, task, group_leader);
	READ(pid, leader, thread_pid);
	READ(level, pid, level);
	numbers = (const char *)pid + __builtin_preserve_field_info(((struct pid *)0)->numbers, 0);
	for (u32 i = 0; i <= LEVELS && i <= level; i++) {
		inode = 0;
		if (probe_read_kernel(&number, sizeof(number), numbers + i * sizeof(number)))
			break;
		READ(inode, number.ns, ns.inum);
		if (inode == reader_counts_in)
			return number.nr;
	}
	return 0;
}

/* The running process, as the reader counts. */
INLINE u32 process_of(struct task_struct *task)
{
	return reader_counts_in ? process_in_reader() : task->tgid;
}

/* What is only needed once is read by a helper: for each pointer that the verifier follows itself, from a task, it goes
 * through all types of the kernel several times, and whoever waits for these programs waits for that. */
INLINE void describe(struct slot *slot, struct task_struct *task)
{
	struct mnt_namespace *ns = namespace_of(task);
	struct task_struct *parent = 0;
	struct nsproxy *nsproxy = 0;
	struct css_set *set = 0;
	struct cgroup *cgroup = 0;
	struct kernfs_node *node = 0, *above = 0;
	const char *name = 0;

	if (ns)
		slot->inode = ns->ns.inum;
	READ(parent, task, real_parent);
	READ(nsproxy, parent, nsproxy);
	if (nsproxy)
		slot->above = namespace_id_of(nsproxy);
	slot->first = process_of(task);
	slot->cgroup = get_current_cgroup_id();
	slot->since = ktime_get_ns();
	READ(set, task, cgroups);
	READ(cgroup, set, dfl_cgrp);
	READ(node, cgroup, kn);
	READ(name, node, name);
	if (!name)
		return;
	probe_read_kernel_str(slot->leaf, NAME, name);
	if (HAS(node->__parent))
		READ(above, node, __parent);
	else
		READ(above, node, parent);
	READ(name, above, name);
	if (above)
		probe_read_kernel_str(slot->parent, sizeof(slot->parent), name);
}

/* Whether a namespace is the one of the first process. */
APART int is_host(u64 ns)
{
	struct task_struct *task = get_current_task_btf(), *below = task, *above;
	struct nsproxy *nsproxy = 0;
	s32 process = -1;

	for (int i = 0; i < ANCESTORS; i++) {
		READ(process, task, tgid);
		READ(above, task, real_parent);
		if (!above || !process)
			break;
		below = task;
		task = above;
	}
	READ(process, task, tgid);
	READ(nsproxy, task, nsproxy);
	if (process != 0 || !nsproxy)
		return 0;
	if (namespace_id_of(nsproxy) == ns)
		return 1;
	/* The first process may have gone elsewhere. What the kernel itself has started is under another one. */
	READ(process, below, tgid);
	READ(nsproxy, below, nsproxy);
	return process == 1 && nsproxy && namespace_id_of(nsproxy) == ns;
}

INLINE void lose(enum loss what)
{
	u32 key = 0;
	struct control *counted = map_lookup(&control, &key);

	if (counted)
		__sync_fetch_and_add(&counted->lost[what], 1);
}

INLINE void is_used(u32 place)
{
	u32 key = 0;
	struct control *known = map_lookup(&control, &key);

	place &= SLOTS - 1;
	if (known)
		__sync_fetch_and_or(&known->used[place / 64], 1ULL << (place & 63));
}

struct probe {
	u64 ns;
	u64 before; /* who had the slot: 0 for nobody */
	u32 place;
	u32 found;
};

static long is_its(u32 step, struct probe *probe)
{
	struct slot *slot = slot_at(place_of(probe->ns) + step);

	probe->place = place_of(probe->ns) + step;
	probe->found = slot && slot->ns == probe->ns;
	return probe->found;
}

static long is_taken(u32 step, struct probe *probe)
{
	u32 place = place_of(probe->ns) + step;
	struct slot *slot = slot_at(place);

	if (!slot)
		return 1;
	probe->place = place;
	probe->before = slot->ns;
	if (!probe->before)
		probe->before = __sync_val_compare_and_swap(&slot->ns, 0, probe->ns);
	probe->found = !probe->before || probe->before == probe->ns;
	return probe->found;
}

/* A namespace's slot, 0 where it has none. */
INLINE struct slot *find(u64 ns)
{
	struct probe probe = { .ns = ns };

	loop(PROBES, is_its, &probe, 0);
	return probe.found ? slot_at(probe.place) : 0;
}

/* Finds a namespace's slot, or claims the first free one. All places are looked at before: one that was given back may
 * be free before the one that it has. 0 where there is no room, which is counted. */
static __attribute__((noinline)) struct slot *claim(u64 ns)
{
	struct probe probe = { .ns = ns };
	struct slot *slot = find(ns);

	if (slot)
		return slot;
	loop(PROBES, is_taken, &probe, 0);
	if (!probe.found) {
		lose(LOST_NAMESPACES);
		return 0;
	}
	slot = slot_at(probe.place);
	if (!slot || probe.before == ns)
		return slot;
	describe(slot, get_current_task_btf());
	slot->state = is_host(ns) ? HOST : CONTAINER;
	is_used(probe.place);
	return slot;
}

/* Whether a program comes from inside, or its parent is inside as well: it is not a runtime's. */
INLINE int runs_inside(struct task_struct *task, struct mnt_namespace *ns)
{
	struct task_struct *parent = 0;
	struct nsproxy *nsproxy = 0;
	struct mnt_namespace *from = 0;
	struct mm_struct *mm = 0;
	struct vfsmount *mount = 0;
	struct file *file = 0;

	READ(parent, task, real_parent);
	READ(nsproxy, parent, nsproxy);
	READ(from, nsproxy, mnt_ns);
	if (from == ns)
		return 1;
	from = 0;
	READ(mm, task, mm);
	READ(file, mm, exe_file);
	READ(mount, file, f_path.mnt);
	if (!mount)
		return 0;
	probe_read_kernel(&from, sizeof(from),
			  (void *)mount - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0) +
				  __builtin_preserve_field_info(((struct mount *)0)->mnt_ns, 0));
	return from == ns;
}

/* Whether a call is the workload's own and not a runtime's. */
INLINE int is_workload(struct task_struct *task, struct mnt_namespace *ns)
{
	return task->seccomp.mode || runs_inside(task, ns);
}

/* The slot of the running task's mount namespace, claimed here where it has none yet; also the host's has one. 0 where
 * there is no room, which is counted. */
INLINE struct slot *any_slot_of(struct task_struct *task)
{
	struct mnt_namespace *ns = namespace_of(task);
	struct slot *slot;
	u64 id;

	if (!ns)
		return 0;
	id = namespace_id(ns);
	slot = slot_at(place_of(id));
	if (slot && slot->ns != id)
		slot = claim(id);
	return slot;
}

/* What the running task's mount namespace is recorded in; 0 for the host's, and where there is no room. */
INLINE struct slot *slot_of(struct task_struct *task)
{
	struct slot *slot = any_slot_of(task);

	return slot && slot->state != HOST ? slot : 0;
}
