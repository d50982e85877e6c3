/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Accesses by the hooks at which AppArmor itself is asked, where programs can be attached to them: what is asked for is
 * told, with the files that the kernel has found. Each gives 0, which leaves the answer to others. */
#pragma once
#include "access_exec.h"

/* An argument as a number. */
INLINE u64 given(u64 *context, int which)
{
	u64 number = 0;

	probe_read_kernel(&number, sizeof(number), &context[which]);
	return number;
}

/* What a program or its runtime is about to run is the workload's if it is mounted inside. */
APART u64 recorded_program(u64 mnt)
{
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns = namespace_of(task), *from = 0;
	struct mount *mount = mount_of((void *)mnt);
	struct slot *slot = slot_of(task);

	if (!ns || !slot || slot->muted & NO_ACCESSES)
		return 0;
	READ(from, mount, mnt_ns);
	return from == ns || runs_inside(task, ns) ? namespace_id(ns) : 0;
}

INLINE void hooked_file(u64 at, u32 ways)
{
	if (at && ways && recorded())
		tell_file((struct file *)at, ways);
}

/* A name in a folder. */
INLINE void hooked_name(u64 dir_at, u64 dentry, u32 ways, u32 folder)
{
	struct path *dir = (void *)dir_at;
	struct vfsmount *mnt = 0;

	if (!recorded())
		return;
	READ(mnt, dir, mnt);
	tell_path(dentry, (u64)mnt, ways, folder);
}

INLINE void hooked_path(u64 path_at, u32 ways)
{
	struct path *path = (void *)path_at;
	struct dentry *dentry = 0;

	READ(dentry, path, dentry);
	hooked_name(path_at, (u64)dentry, ways, 0);
}

/* Whether the kernel calls what is attached to a hook: without bpf in lsm= of its command line it does not, and says
 * nothing of that. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u32);
} hooks_called SEC(".maps");

SEC("lsm/file_open")
int hook_called(u64 *context)
{
	u32 key = 0, *called = map_lookup(&hooks_called, &key);

	if (called)
		*called = 1;
	return 0;
}

SEC("lsm/file_open")
int hook_file_open(u64 *context)
{
	u64 at = given(context, 0);
	struct file *file = (void *)at;
	u32 mode = 0, flags = 0;

	READ(mode, file, f_mode);
	READ(flags, file, f_flags);
	/* FMODE_BACKING: what lies below an overlay; __FMODE_EXEC: a program, which is another question */
	if (!(mode & 0x2000000) && !(flags & 0x20))
		hooked_file(at, ways_of(file));
	return 0;
}

/* A file comes open from another process. */
SEC("lsm/file_receive")
int hook_file_receive(u64 *context)
{
	u64 at = given(context, 0);

	hooked_file(at, ways_of((struct file *)at) & ~USE_CREATE);
	return 0;
}

SEC("lsm/file_lock")
int hook_file_lock(u64 *context)
{
	hooked_file(given(context, 0), USE_LOCK);
	return 0;
}

SEC("lsm/mmap_file")
int hook_mmap_file(u64 *context)
{
	u64 protection = context[2];

	if (protection & 4) /* PROT_EXEC */
		hooked_file(given(context, 0), USE_MAP_EXEC | (protection & 1 ? USE_READ : 0));
	return 0;
}

SEC("lsm/file_mprotect")
int hook_file_mprotect(u64 *context)
{
	struct vm_area_struct *area = (void *)given(context, 0);
	u64 protection = context[2];
	struct file *file = 0;

	if (!(protection & 4))
		return 0;
	READ(file, area, vm_file);
	hooked_file((u64)file, USE_MAP_EXEC | (protection & 1 ? USE_READ : 0));
	return 0;
}

SEC("lsm/path_unlink")
int hook_path_unlink(u64 *context)
{
	hooked_name(given(context, 0), given(context, 1), USE_REMOVE, 0);
	return 0;
}

SEC("lsm/path_rmdir")
int hook_path_rmdir(u64 *context)
{
	hooked_name(given(context, 0), given(context, 1), USE_REMOVE, 1);
	return 0;
}

SEC("lsm/path_mkdir")
int hook_path_mkdir(u64 *context)
{
	hooked_name(given(context, 0), given(context, 1), USE_CREATE, 1);
	return 0;
}

SEC("lsm/path_mknod")
int hook_path_mknod(u64 *context)
{
	u32 mode = context[2], ways = USE_CREATE;

	/* Whoever binds a socket has to be allowed to use it as well. */
	if ((mode & S_IFMT) == S_IFSOCK)
		ways |= USE_READ | USE_WRITE;
	hooked_name(given(context, 0), given(context, 1), ways, 0);
	return 0;
}

SEC("lsm/path_symlink")
int hook_path_symlink(u64 *context)
{
	hooked_name(given(context, 0), given(context, 1), USE_CREATE, 0);
	return 0;
}

SEC("lsm/path_link")
int hook_path_link(u64 *context)
{
	u64 dir = given(context, 1);

	hooked_name(dir, given(context, 0), USE_LINK, 0);
	hooked_name(dir, given(context, 2), USE_LINK, 0);
	return 0;
}

SEC("lsm/path_rename")
int hook_path_rename(u64 *context)
{
	u64 old = given(context, 1);
	u32 folder = is_folder((struct dentry *)old);

	hooked_name(given(context, 0), old, USE_RENAME, folder);
	hooked_name(given(context, 2), given(context, 3), USE_RENAME, folder);
	return 0;
}

SEC("lsm/path_truncate")
int hook_path_truncate(u64 *context)
{
	hooked_path(given(context, 0), USE_WRITE);
	return 0;
}

SEC("lsm/path_chmod")
int hook_path_chmod(u64 *context)
{
	hooked_path(given(context, 0), USE_WRITE);
	return 0;
}

SEC("lsm/path_chown")
int hook_path_chown(u64 *context)
{
	hooked_path(given(context, 0), USE_WRITE);
	return 0;
}

SEC("lsm/bprm_creds_for_exec")
int hook_exec(u64 *context)
{
	struct linux_binprm *program = (void *)given(context, 0);
	struct file *file = 0;
	struct vfsmount *mnt = 0;

	READ(file, program, file);
	READ(mnt, file, f_path.mnt);
	if (recorded_program((u64)mnt))
		tell_file(file, USE_EXEC);
	return 0;
}

SEC("lsm/capable")
int hook_capable(u64 *context)
{
	u32 capability = context[2], options = context[3];
	u64 ns;

	if (options & 2) /* CAP_OPT_NOAUDIT: it only wants to know */
		return 0;
	ns = recorded();
	if (ns)
		tell_number(ns, CAPABILITY, capability, 0, 0);
	return 0;
}

SEC("lsm/socket_create")
int hook_socket_create(u64 *context)
{
	u32 family = context[0], kind = context[1], protocol = context[2], kernel = context[3];
	u64 ns = kernel ? 0 : recorded();

	if (ns)
		tell_number(ns, SOCKET, family, kind & 15, protocol);
	return 0;
}

SEC("lsm/socket_bind")
int hook_socket_bind(u64 *context)
{
	struct socket *socket = (void *)given(context, 0);
	u64 address = given(context, 1), length = (u32)context[2];
	struct sock *sock = 0;
	u64 ns;

	READ(sock, socket, sk);
	if (!sock || family_of(sock) != AF_UNIX)
		return 0;
	ns = recorded();
	if (ns)
		tell_own_address((u64)sock, address, length, ns);
	return 0;
}

SEC("lsm/unix_stream_connect")
int hook_unix_connect(u64 *context)
{
	u64 other = given(context, 1), ns = recorded();

	if (ns)
		tell_bound(other, USE_READ | USE_WRITE, ns);
	return 0;
}

SEC("lsm/unix_may_send")
int hook_unix_send(u64 *context)
{
	struct socket *other = (void *)given(context, 1);
	struct sock *sock = 0;
	u64 ns = recorded();

	if (!ns)
		return 0;
	READ(sock, other, sk);
	tell_bound((u64)sock, USE_READ | USE_WRITE, ns);
	return 0;
}

SEC("lsm/task_kill")
int hook_task_kill(u64 *context)
{
	struct task_struct *to = (void *)context[0];
	u32 signal = context[2];
	u64 ns = recorded();

	if (ns)
		tell_number(ns, SIGNAL, signal, is_inside(to), 0);
	return 0;
}

SEC("lsm/ptrace_access_check")
int hook_ptrace(u64 *context)
{
	struct task_struct *child = (void *)context[0];
	u32 mode = context[1];
	u64 ns = recorded();

	if (ns)
		tell_number(ns, PTRACE, mode & 1, is_inside(child), 0); /* PTRACE_MODE_READ */
	return 0;
}

SEC("lsm/ptrace_traceme")
int hook_traceme(u64 *context)
{
	struct task_struct *parent = (void *)context[0];
	u64 ns = recorded();

	if (ns && is_inside(parent))
		tell_number(ns, PTRACE, 0, 1, 0);
	return 0;
}

/* Ends a path that is a folder's as such. */
INLINE void end_folder(struct scratch *scratch, struct dentry *dentry)
{
	if (!is_folder(dentry))
		return;
	scratch->text[MIDDLE] = '/';
	scratch->event.path++;
	scratch->end = MIDDLE + 1;
}

INLINE u32 put_own_text(struct scratch *scratch, u64 address)
{
	u64 end = scratch->end;
	long length;

	OPAQUE(end);
	if (!address || end < MIDDLE || end > MIDDLE + 2 * PATH)
		return 0;
	length = probe_read_kernel_str(&scratch->text[end], PATH, (void *)address);
	if (length <= 1 || length > PATH)
		return 0;
	scratch->end = end + length - 1;
	return length - 1;
}

SEC("lsm/sb_mount")
int hook_mount(u64 *context)
{
	struct path *path = (void *)given(context, 1);
	u64 ns = recorded();
	struct dentry *dentry = 0;
	struct vfsmount *mnt = 0;
	struct scratch *scratch;

	if (!ns)
		return 0;
	READ(dentry, path, dentry);
	READ(mnt, path, mnt);
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, MOUNT, 1);
	scratch->event.flags = context[3];
	if (put_path(scratch, dentry, mnt)) {
		end_folder(scratch, dentry);
		scratch->event.parts[1] = put_own_text(scratch, given(context, 0));
		scratch->event.parts[2] = put_own_text(scratch, given(context, 2));
		tell(scratch);
	} else {
		lose(LOST_ACCESSES);
	}
	give_back(scratch);
	return 0;
}

SEC("lsm/move_mount")
int hook_move_mount(u64 *context)
{
	struct path *from = (void *)given(context, 0), *to = (void *)given(context, 1);
	u64 ns = recorded();
	struct file_system_type *type = 0;
	struct super_block *super = 0;
	struct dentry *dentry = 0;
	struct vfsmount *mnt = 0;
	struct scratch *scratch;
	const char *name = 0;

	if (!ns)
		return 0;
	READ(mnt, from, mnt);
	READ(super, mnt, mnt_sb);
	READ(type, super, s_type);
	READ(name, type, name);
	READ(dentry, to, dentry);
	READ(mnt, to, mnt);
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, MOUNT, 1);
	if (put_path(scratch, dentry, mnt)) {
		end_folder(scratch, dentry);
		scratch->event.parts[2] = put_own_text(scratch, (u64)name);
		tell(scratch);
	} else {
		lose(LOST_ACCESSES);
	}
	give_back(scratch);
	return 0;
}

SEC("lsm/sb_umount")
int hook_umount(u64 *context)
{
	struct vfsmount *mnt = (void *)given(context, 0);
	u64 ns = recorded();
	struct dentry *root = 0;
	struct scratch *scratch;

	if (!ns)
		return 0;
	READ(root, mnt, mnt_root);
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, UMOUNT, 1);
	if (put_path(scratch, root, mnt)) {
		end_folder(scratch, root);
		tell(scratch);
	} else {
		lose(LOST_ACCESSES);
	}
	give_back(scratch);
	return 0;
}

SEC("lsm/sb_pivotroot")
int hook_pivot_root(u64 *context)
{
	struct path *old = (void *)given(context, 0), *new = (void *)given(context, 1);
	u64 ns = recorded(), start, length;
	struct dentry *dentry = 0;
	struct vfsmount *mnt = 0;
	struct scratch *scratch;

	if (!ns)
		return 0;
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, PIVOT_ROOT, 1);
	READ(dentry, old, dentry);
	READ(mnt, old, mnt);
	if (!put_path(scratch, dentry, mnt))
		goto lost;
	/* The one goes behind the other. */
	start = scratch->start;
	length = MIDDLE - start;
	OPAQUE(start);
	OPAQUE(length);
	if (start > MIDDLE || length > PATH)
		goto lost;
	probe_read_kernel(&scratch->text[MIDDLE + 1], length, &scratch->text[start]);
	READ(dentry, new, dentry);
	READ(mnt, new, mnt);
	if (!put_path(scratch, dentry, mnt))
		goto lost;
	scratch->text[MIDDLE] = '/';
	scratch->event.path++;
	scratch->event.parts[1] = length;
	scratch->end = MIDDLE + 1 + length;
	tell(scratch);
	give_back(scratch);
	return 0;
lost:
	lose(LOST_ACCESSES);
	give_back(scratch);
	return 0;
}
