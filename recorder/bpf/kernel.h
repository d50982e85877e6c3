/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the programs need to know of the kernel: helpers by their number in uapi/linux/bpf.h, and of its structures the
 * few members that are read. Where these are is found out when a program is loaded, from the kernel's own BTF. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
/* Checked by the verifier by itself, once, whatever it is called with: takes and gives numbers only. */
#define APART __attribute__((noinline))

/* Forms of a map's definition in BTF. */
#define UINT(name, value) int (*name)[value]
#define TYPE(name, type) typeof(type) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

/* How an entry is written. */
enum { BPF_ANY, BPF_NOEXIST };

/* User space can have the map's memory in its own. */
#define BPF_F_MMAPABLE (1 << 10)
/* Memory is taken when an entry is made. */
#define BPF_F_NO_PREALLOC 1

/* What a file is, in its mode: uapi/linux/stat.h. */
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFSOCK 0140000

struct bpf_raw_tracepoint_args {
	u64 args[0];
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static u32 (*const get_smp_processor_id)(void) = (void *)8;
static u64 (*const get_current_pid_tgid)(void) = (void *)14;
static long (*const get_stack)(void *context, void *to, u32 size, u64 flags) = (void *)67;
static u64 (*const get_current_cgroup_id)(void) = (void *)80;
static long (*const probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static void *(*const ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *data, u64 flags) = (void *)132;
static long (*const probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static long (*const ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static long (*const loop)(u32 times, void *step, void *context, u64 flags) = (void *)181;

/* The compiler shall not find out how a number came to be: what is checked must be what is used, for the verifier. */
#define OPAQUE(number) asm volatile("" : "+r"(number))

/* Reads a member of what a pointer, that the verifier knows nothing of, points to. */
#define READ(to, from, member) \
	probe_read_kernel(&(to), sizeof(to), (const void *)__builtin_preserve_access_index(&(from)->member))

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

struct qstr {
	u64 hash_len;
	const char *name;
} CORE;

struct inode {
	unsigned short i_mode;
} CORE;

struct file_system_type {
	const char *name;
} CORE;

struct super_block {
	unsigned long s_flags;
	struct file_system_type *s_type;
} CORE;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
} CORE;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
} CORE;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	const char *mnt_devname;
	struct mnt_namespace *mnt_ns;
} CORE;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} CORE;

struct file {
	u32 f_mode;
	u32 f_flags;
	struct path f_path;
	void *private_data;
} CORE;

struct sock_common {
	u16 skc_family;
} CORE;

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
} CORE;

struct socket {
	struct sock *sk;
} CORE;

struct sockaddr_un {
	u16 sun_family;
} CORE;

struct unix_address {
	s32 len; /* with that of the family */
	struct sockaddr_un name[];
} CORE;

struct unix_sock {
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
} CORE;

struct fdtable {
	u32 max_fds;
	struct file **fd;
} CORE;

struct files_struct {
	struct fdtable *fdt;
} CORE;

struct fs_struct {
	struct path root;
	struct path pwd;
} CORE;

struct mm_struct {
	struct file *exe_file;
} CORE;

struct vm_area_struct {
	struct file *vm_file;
} CORE;

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
} CORE;

struct kernel_siginfo {
	s32 si_code;
} CORE;

struct pid_namespace {
	struct ns_common ns;
} CORE;

/* A process's number in one PID namespace: two members for as long as there have been such. */
struct upid {
	s32 nr;
	struct pid_namespace *ns;
};

struct pid {
	u32 level;
	struct upid numbers[1]; /* one more for each level */
} CORE;

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
	void *stack;
	s32 pid;
	s32 tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	u64 start_boottime;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct css_set *cgroups;
	const struct cred *cred;
	struct seccomp seccomp;
} CORE;

static struct task_struct *(*const get_current_task_btf)(void) = (void *)158;
static struct pt_regs *(*const task_pt_regs)(struct task_struct *task) = (void *)175;
static u64 (*const ktime_get_boot_ns)(void) = (void *)125;
static long (*const find_vma)(struct task_struct *task, u64 address, void *found, void *context, u64 flags) = (void *)180;
