/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Paths as AppArmor sees them: from a file up to the root of its mount namespace, through what is mounted, whatever
 * happened to the file since. */
#pragma once
#include "access_event.h"

/* Names and mounts from a file up to the root: a path cannot have more. */
#define STEPS (PATH + 1)
/* So many of them are looked at to know a file again; files that are deeper have their path found each time. */
#define STEPS_KNOWN 40

/* Where a walk is. */
struct walk {
	struct scratch *scratch;
	struct dentry *dentry;
	struct vfsmount *mnt;
	u32 at;
	u32 done;
};

INLINE struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
}

INLINE struct vfsmount *mounted(struct mount *mount)
{
	return (void *)mount + __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
}

/* From the root of a mount to where it is mounted; 0 where that is nowhere. */
INLINE int leave_mount(struct dentry **dentry, struct vfsmount **mnt)
{
	struct mount *mount = mount_of(*mnt), *above = 0;

	READ(above, mount, mnt_parent);
	if (!above || above == mount)
		return 0;
	READ(*dentry, mount, mnt_mountpoint);
	*mnt = mounted(above);
	return 1;
}

static long step(u32 index, struct walk *walk)
{
	struct dentry *dentry = walk->dentry, *root = 0, *parent = 0;
	struct vfsmount *mnt = walk->mnt;
	struct scratch *scratch = walk->scratch;
	const char *name = 0;
	u64 length = 0, at = walk->at;

	READ(root, mnt, mnt_root);
	if (dentry == root) {
		if (!leave_mount(&dentry, &mnt)) {
			walk->done = 1;
			return 1;
		}
		walk->dentry = dentry;
		walk->mnt = mnt;
		return 0;
	}
	READ(parent, dentry, d_parent);
	if (!parent || parent == dentry) {
		walk->done = 1;
		return 1;
	}
	READ(length, dentry, d_name.hash_len);
	READ(name, dentry, d_name.name);
	length >>= 32;
	if (length > 255 || at > MIDDLE || at < HEAD + length + 1)
		return 1;
	at -= length + 1;
	length &= 255;
	OPAQUE(at);
	if (at > MIDDLE)
		return 1;
	scratch->text[at] = '/';
	if (probe_read_kernel(&scratch->text[at] + 1, length, name))
		return 1;
	walk->at = at;
	walk->dentry = parent;
	return 0;
}

APART int put_path_at(u32 place, u64 dentry, u64 mnt)
{
	struct scratch *scratch = map_lookup(&access_scratch, &place);
	struct walk walk = { .scratch = scratch, .dentry = (void *)dentry, .mnt = (void *)mnt, .at = MIDDLE };

	if (!scratch)
		return 0;
	loop(STEPS, step, &walk, 0);
	scratch->start = walk.at;
	scratch->event.path = MIDDLE - walk.at;
	return walk.done;
}

/* Puts a path before the middle. 0 where it is too long. */
INLINE int put_path(struct scratch *scratch, struct dentry *dentry, struct vfsmount *mnt)
{
	return put_path_at(scratch->place, (u64)dentry, (u64)mnt);
}

/* What a file is known by. */
struct knowing {
	struct key key;
	struct dentry *dentry;
	struct dentry *root;
	struct vfsmount *mnt;
	u32 done;
};

static long know_step(u32 index, struct knowing *known)
{
	struct dentry *dentry = known->dentry, *parent = 0;
	struct vfsmount *mnt = known->mnt;
	u64 name = 0;

	if (dentry == known->root) {
		if (!leave_mount(&dentry, &mnt)) {
			known->done = 1;
			return 1;
		}
		READ(parent, mnt, mnt_root);
		known->dentry = dentry;
		known->mnt = mnt;
		known->root = parent;
		mix(&known->key, (u64)mnt);
		return 0;
	}
	READ(parent, dentry, d_parent);
	if (!parent || parent == dentry) {
		known->done = 1;
		return 1;
	}
	READ(name, dentry, d_name.hash_len);
	mix(&known->key, name);
	known->dentry = parent;
	return 0;
}

/* By itself, and by the names of all that is above it. 0 where it is too deep. */
INLINE int know(struct knowing *known)
{
	struct dentry *dentry = known->dentry, *root = 0;
	struct vfsmount *mnt = known->mnt;
	struct inode *inode = 0;

	READ(inode, dentry, d_inode);
	READ(root, mnt, mnt_root);
	mix(&known->key, (u64)dentry);
	mix(&known->key, (u64)inode);
	mix(&known->key, (u64)mnt);
	known->root = root;
	loop(STEPS_KNOWN, know_step, known, 0);
	return known->done;
}

/* Whether there is nothing there that could be named: pipes, sockets, memory. */
INLINE int is_nameless(struct dentry *dentry)
{
	struct super_block *super = 0;
	unsigned long flags = 0;

	READ(super, dentry, d_sb);
	READ(flags, super, s_flags);
	return !super || flags & 1UL << 31; /* SB_NOUSER */
}

/* What a file is, and its permissions; 0 where there is none. */
INLINE u16 mode_of(struct dentry *dentry)
{
	struct inode *inode = 0;
	u16 mode = 0;

	READ(inode, dentry, d_inode);
	if (inode)
		READ(mode, inode, i_mode);
	return mode;
}

INLINE int is_folder(struct dentry *dentry)
{
	return (mode_of(dentry) & S_IFMT) == S_IFDIR;
}

/* A file, or what becomes one, was used. */
APART int tell_path(u64 dentry_at, u64 mnt_at, u32 ways, u32 folder)
{
	struct dentry *dentry = (void *)dentry_at;
	struct vfsmount *mnt = (void *)mnt_at;
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns = namespace_of(task);
	struct scratch *scratch;
	struct knowing knowing = { .dentry = dentry, .mnt = mnt };
	struct key *key = &knowing.key;
	u32 *known = 0;
	int can_be_known;

	if (!ns || !ways || !dentry || !mnt || is_nameless(dentry))
		return 0;
	key->ns = namespace_id(ns);
	key->first = folder;
	can_be_known = know(&knowing);
	if (can_be_known) {
		known = map_lookup(&access_recent, key);
		if (known && !(ways & ~*known))
			return 0;
	}
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, task, key->ns, FILE, ways);
	if (!put_path(scratch, dentry, mnt)) {
		lose(LOST_ACCESSES);
	} else {
		if (folder || is_folder(dentry)) {
			scratch->text[MIDDLE] = '/';
			scratch->event.path++;
			scratch->end = MIDDLE + 1;
		}
		if (tell(scratch) && can_be_known)
			remember(&access_recent, key, known, ways);
	}
	give_back(scratch);
	return 0;
}

INLINE void tell_file(struct file *file, u32 ways)
{
	struct vfsmount *mnt = 0;
	struct dentry *dentry = 0;

	READ(mnt, file, f_path.mnt);
	READ(dentry, file, f_path.dentry);
	tell_path((u64)dentry, (u64)mnt, ways, 0);
}

/* How an open file may be used. */
INLINE u32 ways_of(struct file *file)
{
	u32 mode = 0;

	READ(mode, file, f_mode);
	if (mode & 0x4000) /* FMODE_PATH */
		return 0;
	return (mode & 1 ? USE_READ : 0) | (mode & 2 ? USE_WRITE : 0) |
	       (mode & 0x100000 ? USE_CREATE : 0); /* FMODE_CREATED */
}

struct found {
	struct file *file;
};

static long find_file(struct task_struct *task, struct vm_area_struct *area, struct found *found)
{
	found->file = area->vm_file;
	return 0;
}

/* What is mapped at an address. */
INLINE struct file *file_at(struct task_struct *task, u64 address)
{
	struct found found = {};

	find_vma(task, address, find_file, &found, 0);
	return found.file;
}
