/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records which system calls each container makes: a slot for each mount namespace, claimed here in the kernel by the
 * first call in it, with a bit for each call. Nothing is sent to anybody, so nothing can be lost with nobody reading. */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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

INLINE u32 abi_of(struct task_struct *task, u64 *number)
{
#if defined(__TARGET_ARCH_x86)
	if (task->thread_info.status & 2) /* TS_COMPAT */
		return COMPAT;
	if (*number & 0x40000000) { /* __X32_SYSCALL_BIT */
		*number &= ~0x40000000ULL;
		return X32;
	}
#elif defined(__TARGET_ARCH_arm64)
	if (task->thread_info.flags & (1 << 22)) /* TIF_32BIT */
		return COMPAT;
#endif
	return NATIVE;
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

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns = namespace_of(task);
	struct slot *slot;
	u64 id, number, bit, *word;
	u32 place, abi;

	if (!ns)
		return 0;
	id = namespace_id(ns);
	place = place_of(id);
	slot = slot_at(place);
	if (!slot)
		return 0;
	if (slot->ns != id) {
		slot = claim(id, place, task, ns);
		if (!slot) {
			lose();
			return 0;
		}
	}
	if (slot->state == HOST)
		return 0;
	number = ctx->args[1];
	abi = abi_of(task, &number);
	if (number >= WORDS * 64) {
		__sync_fetch_and_add(&slot->overflow, 1);
		return 0;
	}
	bit = 1ULL << (number & 63);
	place = (u32)(number >> 6) & 15;
	if (place >= WORDS || abi >= ABIS)
		return 0;
	word = &slot->workload[abi][place];
	if (*word & bit)
		return 0;
	if (!is_workload(task, ns)) {
		word = &slot->setup[abi][place];
		if (*word & bit)
			return 0;
	}
	__sync_fetch_and_or(word, bit);
	slot->newest = ktime_get_ns();
	return 0;
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

/* What a filter refuses never gets to sys_enter, which comes after it, and yet leaves through here: a call that failed
 * as a filter lets calls fail, and that was never seen to begin. */
SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	const struct pt_regs *regs = (void *)ctx->args[0];
	long result = (long)ctx->args[1];
	struct mnt_namespace *ns;
	struct slot *slot;
	u64 number = 0, bit;
	u32 place, abi;

	/* EPERM, EACCES, ENOSYS: others are answers to calls that were under way when this began. */
	if (result != -1 && result != -13 && result != -38)
		return 0;
	if (task->seccomp.mode != 2) /* SECCOMP_MODE_FILTER */
		return 0;
	ns = namespace_of(task);
	if (!ns)
		return 0;
	slot = find(namespace_id(ns));
	if (!slot || slot->state != CONTAINER)
		return 0;
#if defined(__TARGET_ARCH_x86)
	probe_read_kernel(&number, sizeof(regs->orig_ax), __builtin_preserve_access_index(&regs->orig_ax));
#elif defined(__TARGET_ARCH_arm64)
	probe_read_kernel(&number, sizeof(regs->syscallno), __builtin_preserve_access_index(&regs->syscallno));
#else
	return 0;
#endif
	abi = abi_of(task, &number);
	bit = 1ULL << (number & 63);
	place = (u32)(number >> 6) & 15;
	if (number >= WORDS * 64 || place >= WORDS || abi >= ABIS)
		return 0;
	if ((slot->workload[abi][place] | slot->setup[abi][place] | slot->denied[abi][place]) & bit)
		return 0;
	__sync_fetch_and_or(&slot->denied[abi][place], bit);
	return 0;
}
