/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Names that are given to system calls: read from user space, when the kernel has just read them there itself. Which call
 * has which is in a table that user space fills in, for it knows the numbers of each architecture. */
#pragma once
#include "access_path.h"
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
	BINDS,
	CONNECTS,
	SENDS_TO,
	SENDS_MESSAGE,
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

APART int put_name_at(u32 place, u64 address)
{
	struct scratch *scratch = map_lookup(&access_scratch, &place);
	long length;

	if (!scratch)
		return 0;
	length = probe_read_user_str(&scratch->text[MIDDLE], PATH, (void *)address);
	if (length < 0 || length > PATH)
		return 0;
	/* Of an empty one older kernels say 0 (strncpy_from_user_nofault), newer ones 1. */
	length = length ? length - 1 : 0;
	scratch->event.parts[0] = length;
	scratch->end = MIDDLE + length;
	return 1;
}

/* Puts the name at an address behind the middle. 0 where that cannot be read. */
INLINE int put_name(struct scratch *scratch, u64 address)
{
	return put_name_at(scratch->place, address);
}

APART int put_base_at(u32 place, u64 folder, u32 first)
{
	struct scratch *scratch = map_lookup(&access_scratch, &place);
	struct task_struct *task = get_current_task_btf();
	struct vfsmount *mnt = 0;
	struct dentry *dentry = 0;
	struct file *file;

	if (!scratch || !task->fs)
		return 0;
	if (first == '/') {
		READ(mnt, task->fs, root.mnt);
		READ(dentry, task->fs, root.dentry);
	} else if ((s32)folder == AT_FDCWD) {
		READ(mnt, task->fs, pwd.mnt);
		READ(dentry, task->fs, pwd.dentry);
	} else {
		file = file_of(task, folder);
		if (file) {
			READ(mnt, file, f_path.mnt);
			READ(dentry, file, f_path.dentry);
		}
	}
	return dentry && mnt && put_path(scratch, dentry, mnt);
}

/* Puts the path before the middle that a name is relative to: the root's where it begins with a slash. 0 where that is
 * not known. */
INLINE int put_base(struct scratch *scratch, u64 folder, u32 first)
{
	return put_base_at(scratch->place, folder, first);
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
	if (!put_name(scratch, chosen(scratch, call->name))) {
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
	if (!put_name(scratch, chosen(scratch, call->second_name)) ||
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
