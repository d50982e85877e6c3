/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the programs need to know of the kernel: helpers by their number in uapi/linux/bpf.h, and of its structures the
 * few members that are read. Where these are is found out when a program is loaded, from the kernel's own BTF. */
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* Forms of a map's definition in BTF. */
#define UINT(name, value) int (*name)[value]
#define TYPE(name, type) typeof(type) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
};

/* How an entry is written. */
enum { BPF_ANY, BPF_NOEXIST };

/* User space can have the map's memory in its own. */
#define BPF_F_MMAPABLE (1 << 10)

struct bpf_raw_tracepoint_args {
	u64 args[0];
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static u64 (*const get_current_pid_tgid)(void) = (void *)14;
static u64 (*const get_current_cgroup_id)(void) = (void *)80;
static long (*const probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;

#define CORE __attribute__((preserve_access_index))

/* Whether this kernel has a member (BPF_FIELD_EXISTS). */
#define HAS(member) __builtin_preserve_field_info(member, 2)

struct ns_common {
	u32 inum;
	u64 ns_id; /* from 6.18 on */
} CORE;

struct mnt_namespace {
	struct ns_common ns;
	u64 seq; /* before */
} CORE;

struct nsproxy {
	struct mnt_namespace *mnt_ns;
} CORE;

struct vfsmount {
	int mnt_flags;
} CORE;

struct mount {
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
} CORE;

struct path {
	struct vfsmount *mnt;
} CORE;

struct file {
	struct path f_path;
} CORE;

struct mm_struct {
	struct file *exe_file;
} CORE;

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long orig_ax;
} CORE;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	s32 syscallno;
} CORE;
#endif

struct seccomp {
	int mode;
} CORE;

struct thread_info {
	unsigned long flags;
	u32 status;
} CORE;

struct kernfs_node {
	const char *name;
	struct kernfs_node *parent; /* before 6.15 */
	struct kernfs_node *__parent;
} CORE;

struct cgroup {
	struct kernfs_node *kn;
} CORE;

struct css_set {
	struct cgroup *dfl_cgrp;
} CORE;

struct cred {
	void *security; /* what each security module keeps, one after the other */
} CORE;

struct task_struct {
	struct thread_info thread_info;
	s32 pid;
	s32 tgid;
	struct task_struct *real_parent;
	struct nsproxy *nsproxy;
	struct mm_struct *mm;
	struct css_set *cgroups;
	const struct cred *cred;
	struct seccomp seccomp;
} CORE;

static struct task_struct *(*const get_current_task_btf)(void) = (void *)158;
