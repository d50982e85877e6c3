/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Accesses by the system calls that make them, at their end: where the kernel has a file, its path is found from that;
 * names are read from user space, when the kernel has just read them there itself. Which call does what is in a table
 * that user space fills in, for it knows the numbers of each architecture. */
#pragma once
#include "access_mount.h"
#include "access_other.h"
#include "syscalls.h"

/* Numbers of an ABI; x32's end at 547. */
#define CALLS 1024
#define NOT_GIVEN 255
#define AT_FDCWD (-100)

/* What a call does: `Action` of src/kernel/access/calls.rs. */
enum action {
	OPENS = 1,
	MAPS,
	LOCKS,
	CONTROLS,
	CHANGES,
	PROTECTS,
	NAMES,
	NAMES_TWO,
	SOCKETS,
	SOCKETS_BY_POINTER,
	MOUNTS,
	UNMOUNTS,
	PIVOTS,
	MOVES_MOUNT,
	TRACES,
	TRACES_BY_REQUEST,
	SIGNALS,
};

/* Which of its arguments are what. */
struct call {
	unsigned char action;
	unsigned char dir; /* NOT_GIVEN: the current folder */
	unsigned char name;
	unsigned char flags;
	unsigned char second_dir;
	unsigned char second_name;
	unsigned short ways;
	unsigned short second_ways;
	unsigned short how; /* enum name */
};

/* What a name is. */
enum name {
	FOLLOWED = 1, /* what a link at its end points to is meant */
	IS_FOLDER = 2,
	REMOVES = 8, /* as unlinkat(2): AT_REMOVEDIR says whether it is a folder */
	NOT_FOLLOWED = 16, /* AT_SYMLINK_NOFOLLOW says so */
	CAN_BE_FOLLOWED = 32, /* AT_SYMLINK_FOLLOW says so */
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, ABIS * CALLS);
	TYPE(key, u32);
	TYPE(value, struct call);
} access_calls SEC(".maps");

/* The file that a number stands for; 0 where there is none. */
INLINE struct file *file_of(struct task_struct *task, u64 number)
{
	struct fdtable *table;
	struct file *file = 0;
	u32 fd = (u32)number;

	if (!task->files)
		return 0;
	table = task->files->fdt;
	if (!table || fd >= table->max_fds)
		return 0;
	probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

/* Puts the name at an address behind the middle. 0 where that cannot be read. */
static __attribute__((noinline)) int put_name(struct scratch *scratch, const char *address)
{
	long length = probe_read_user_str(&scratch->text[MIDDLE], PATH, address);

	if (length <= 0 || length > PATH)
		return 0;
	scratch->event.parts[0] = length - 1;
	scratch->end = MIDDLE + length - 1;
	return 1;
}

/* Puts the path before the middle that a name is relative to: the root's where it begins with a slash. 0 where that is
 * not known. */
static __attribute__((noinline)) int put_base(struct scratch *scratch, u64 folder, u32 first)
{
	struct task_struct *task = get_current_task_btf();
	struct vfsmount *mnt = 0;
	struct dentry *dentry = 0;
	struct file *file;

	if (!task->fs)
		return 0;
	if (first == '/') {
		mnt = task->fs->root.mnt;
		dentry = task->fs->root.dentry;
	} else if ((s32)folder == AT_FDCWD) {
		mnt = task->fs->pwd.mnt;
		dentry = task->fs->pwd.dentry;
	} else {
		file = file_of(task, folder);
		if (file) {
			READ(mnt, file, f_path.mnt);
			READ(dentry, file, f_path.dentry);
		}
	}
	return dentry && mnt && put_path(scratch, dentry, mnt);
}

/* An argument whose place is not known here. */
INLINE u64 chosen(struct scratch *scratch, u32 which)
{
	return which < 6 ? scratch->arguments[which] : 0;
}

/* Moves a path from before the middle to an end, as a folder's: so that of the root is a text too. How long it is there;
 * 0 where there is no room. */
INLINE u32 move_base(struct scratch *scratch, u64 end)
{
	u64 start = scratch->start, length = MIDDLE - start;

	OPAQUE(end);
	OPAQUE(start);
	OPAQUE(length);
	if (end > MIDDLE + 2 * PATH || start > MIDDLE || length > PATH || end + length >= MIDDLE + TAIL)
		return 0;
	probe_read_kernel(&scratch->text[end], length, &scratch->text[start]);
	scratch->text[end + length] = '/';
	return length + 1;
}

/* Puts the name that a file has now behind the one that it had: it says whether the file is a folder. The path that it
 * is relative to follows where that is another one. */
INLINE void put_new_name(struct scratch *scratch, struct call *call, u64 folder, u64 second_folder)
{
	u64 end = scratch->end;
	u32 base = 0;
	long length;

	OPAQUE(end);
	if (end > MIDDLE + PATH)
		return;
	length = probe_read_user_str(&scratch->text[end], PATH, (void *)chosen(scratch, call->second_name));
	if (length <= 1 || length > PATH)
		return;
	if (scratch->text[end] != '/' && (scratch->text[MIDDLE] == '/' || (u32)folder != (u32)second_folder)) {
		base = put_base(scratch, second_folder, 0) ? move_base(scratch, end + length - 1) : 0;
		if (!base)
			return;
	}
	scratch->event.parts[1] = length - 1;
	scratch->event.parts[2] = base;
	scratch->end = end + length - 1 + base;
}

/* The number of the folder that a name is relative to. */
INLINE u64 folder_of(struct scratch *scratch, u32 which)
{
	return which < 6 ? chosen(scratch, which) : AT_FDCWD;
}

/* Where two names are given, as for a rename, they are two things. */
INLINE int tell_names(struct scratch *scratch, struct call *call, u64 ns)
{
	struct task_struct *task = get_current_task_btf();
	u64 flags = chosen(scratch, call->flags), how = call->how & (FOLLOWED | IS_FOLDER);
	u64 folder = folder_of(scratch, call->dir), second_folder = folder_of(scratch, call->second_dir);
	int two = call->action == NAMES_TWO;
	u32 ways = call->ways;

	if (call->how & REMOVES && flags & 0x200) /* AT_REMOVEDIR */
		how |= IS_FOLDER;
	if (call->how & NOT_FOLLOWED && flags & 0x100) /* AT_SYMLINK_NOFOLLOW */
		how &= ~FOLLOWED;
	if (call->how & CAN_BE_FOLLOWED && flags & 0x400) /* AT_SYMLINK_FOLLOW */
		how |= FOLLOWED;
	begin(scratch, task, ns, NAMED, ways);
	scratch->event.flags = how;
	if (!put_name(scratch, (void *)chosen(scratch, call->name))) {
		lose(LOST_ACCESSES);
	} else {
		if (two && ways & USE_RENAME)
			put_new_name(scratch, call, folder, second_folder);
		/* Last, as it is put where the other one was. */
		if (!put_base(scratch, folder, scratch->text[MIDDLE]))
			lose(LOST_ACCESSES);
		else if (scratch->event.parts[0])
			tell(scratch);
		else if (flags & 0x1000) { /* AT_EMPTY_PATH: what the number stands for */
			struct file *file = file_of(task, folder);

			if (file)
				tell_file(file, ways);
		}
	}
	if (!two)
		return 0;
	begin(scratch, task, ns, NAMED, call->second_ways);
	scratch->event.flags = how & IS_FOLDER;
	if (!put_name(scratch, (void *)chosen(scratch, call->second_name)) ||
	    !put_base(scratch, second_folder, scratch->text[MIDDLE]))
		lose(LOST_ACCESSES);
	else
		tell(scratch);
	return 0;
}

APART int names(u32 abi, u32 place, u64 ns)
{
	const struct pt_regs *regs = task_pt_regs(get_current_task_btf());
	struct call *call = map_lookup(&access_calls, &place);
	struct scratch *scratch;

	if (!call)
		return 0;
	scratch = take();
	if (!scratch)
		return 0;
	for (int i = 0; i < 6; i++)
		scratch->arguments[i] = argument(regs, abi, i);
	tell_names(scratch, call, ns);
	give_back(scratch);
	return 0;
}

/* Whether fcntl(2) is for a lock: F_SETLK, F_SETLKW; for 32 bits F_SETLK64, F_SETLKW64; F_OFD_SETLK, F_OFD_SETLKW;
 * F_SETLEASE. */
INLINE int is_lock(u64 command)
{
	return command == 6 || command == 7 || command == 13 || command == 14 || command == 37 || command == 38 ||
	       command == 1024;
}

/* The file that a call was for, and the ways in which it was used. */
INLINE struct file *used_file(struct task_struct *task, const struct pt_regs *regs, u32 abi, u32 action, long result,
			      u32 *ways)
{
	u64 protection;
	struct file *file;

	switch (action) {
	case OPENS:
		if (result < 0)
			return 0;
		file = file_of(task, result);
		*ways = file ? ways_of(file) : 0;
		return file;
	case MAPS:
		protection = argument(regs, abi, 2);
		if ((u64)result >= -4095ULL || !(protection & 4) || argument(regs, abi, 3) & 0x20)
			return 0; /* PROT_EXEC, MAP_ANONYMOUS */
		*ways = USE_MAP_EXEC | (protection & 1 ? USE_READ : 0);
		return file_of(task, argument(regs, abi, 4));
	case CONTROLS:
		if (!is_lock(argument(regs, abi, 1)))
			return 0;
		/* fallthrough */
	case LOCKS:
		if (result && result != -11) /* EAGAIN: it may, but has to wait */
			return 0;
		*ways = USE_LOCK;
		return file_of(task, argument(regs, abi, 0));
	case PROTECTS:
		protection = argument(regs, abi, 2);
		if (result || !(protection & 4))
			return 0;
		*ways = USE_MAP_EXEC | (protection & 1 ? USE_READ : 0);
		return file_at(task, argument(regs, abi, 0));
	case CHANGES:
		if (result)
			return 0;
		*ways = USE_WRITE;
		return file_of(task, argument(regs, abi, 0));
	}
	return 0;
}

/* What was asked of socketcall(2): three numbers in memory. */
INLINE void socket_by_pointer(const struct pt_regs *regs, u32 abi, u64 ns)
{
	u64 which = argument(regs, abi, 0);
	u32 numbers[3] = {};

	if (which != 1 && which != 8) /* SYS_SOCKET, SYS_SOCKETPAIR */
		return;
	if (abi != COMPAT || probe_read_user(numbers, sizeof(numbers), (void *)argument(regs, abi, 1)))
		return;
	tell_number(ns, SOCKET, numbers[0], numbers[1] & 15, numbers[2]);
}

/* What a mount that was made by pieces was moved to: the number stands for it, and its path is where it is now. */
INLINE void tell_moved(u64 ns, u64 number)
{
	struct task_struct *task = get_current_task_btf();
	struct file *file = file_of(task, number);
	struct file_system_type *type = 0;
	struct super_block *super = 0;
	struct vfsmount *mnt = 0;
	struct dentry *root = 0;
	const char *name = 0;
	struct scratch *scratch;
	long length;

	if (!file)
		return;
	READ(mnt, file, f_path.mnt);
	READ(root, mnt, mnt_root);
	READ(super, mnt, mnt_sb);
	READ(type, super, s_type);
	READ(name, type, name);
	scratch = take();
	if (!scratch)
		return;
	begin(scratch, task, ns, MOUNT, 1);
	if (!put_path(scratch, root, mnt))
		goto lost;
	length = probe_read_kernel_str(&scratch->text[MIDDLE], 64, name);
	if (length <= 1 || length > 64)
		goto lost;
	scratch->event.parts[2] = length - 1;
	scratch->end = MIDDLE + length - 1;
	tell(scratch);
	give_back(scratch);
	return;
lost:
	lose(LOST_ACCESSES);
	give_back(scratch);
}

APART int others(u32 abi, u32 place, u64 ns, u64 result)
{
	const struct pt_regs *regs = task_pt_regs(get_current_task_btf());
	struct call *call = map_lookup(&access_calls, &place);
	u64 arguments[4];

	if (!call)
		return 0;
	for (int i = 0; i < 4; i++)
		arguments[i] = argument(regs, abi, i);
	switch (call->action) {
	case SOCKETS:
		if ((long)result >= 0)
			tell_number(ns, SOCKET, arguments[0], arguments[1] & 15, arguments[2]);
		break;
	case SOCKETS_BY_POINTER:
		if ((long)result >= 0)
			socket_by_pointer(regs, abi, ns);
		break;
	case MOVES_MOUNT:
		if (!result)
			tell_moved(ns, arguments[0]);
		break;
	default:
		tell_mount(ns, call->action == MOUNTS ? MOUNT : call->action == UNMOUNTS ? UMOUNT : PIVOT_ROOT,
			   call->action == MOUNTS ? arguments[1] : arguments[0],
			   call->action == MOUNTS ? arguments[0] : call->action == PIVOTS ? arguments[1] : 0,
			   call->action == MOUNTS ? arguments[2] : 0, call->action == MOUNTS ? arguments[3] : 0);
	}
	return 0;
}

/* What was done to a process that is known by a number: where all processes that can be seen are those of the container,
 * it is one of them. */
APART int processes(u32 abi, u32 place, u64 ns)
{
	struct task_struct *task = get_current_task_btf();
	const struct pt_regs *regs = task_pt_regs(task);
	struct call *call = map_lookup(&access_calls, &place);
	struct task_struct *parent = task->real_parent;
	struct pid *pid = task->thread_pid;
	u32 inside = pid && pid->level;
	u64 request = argument(regs, abi, 0);

	if (!call)
		return 0;
	switch (call->action) {
	case TRACES:
		tell_number(ns, PTRACE, call->ways & USE_READ, inside, 0);
		break;
	case TRACES_BY_REQUEST:
		if (request == 16 || request == 0x4206) /* PTRACE_ATTACH, PTRACE_SEIZE */
			tell_number(ns, PTRACE, 0, inside, 0);
		else if (request == 0 && parent && is_inside(parent)) /* PTRACE_TRACEME: the parent does it */
			tell_number(ns, PTRACE, 0, 1, 0);
		break;
	case SIGNALS:
		/* Others than 0, which only asks whether it is there, are seen where they are sent. */
		if (!(u32)(call->name == 2 ? argument(regs, abi, 2) : argument(regs, abi, 1)))
			tell_number(ns, SIGNAL, 0, inside, 0);
		break;
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int access_exit(u64 *context)
{
	const struct pt_regs *regs = (void *)context[0];
	long result = (long)context[1];
	struct task_struct *task = get_current_task_btf();
	u64 number = number_of(regs), ns;
	u32 abi = abi_of(task, &number), place, ways = 0;
	struct call *call;
	struct file *file;

	if (number >= CALLS || abi >= ABIS)
		return 0;
	place = abi * CALLS + number;
	call = map_lookup(&access_calls, &place);
	if (!call || !call->action)
		return 0;
	ns = recorded();
	if (!ns)
		return 0;
	if (call->action < NAMES) {
		file = used_file(task, regs, abi, call->action, result, &ways);
		if (file)
			tell_file(file, ways);
	} else if (call->action <= NAMES_TWO) {
		if (!result || result == -1 || result == -13) /* EPERM, EACCES */
			names(abi, place, ns);
	} else if (call->action < TRACES) {
		if (!result || result == -1 || result == -13 || call->action <= SOCKETS_BY_POINTER)
			others(abi, place, ns, result);
	} else if (result >= 0) {
		processes(abi, place, ns);
	}
	return 0;
}
