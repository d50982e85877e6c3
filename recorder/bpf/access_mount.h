/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is done to mounts, by the calls that do it. */
#pragma once
#include "access_name.h"

/* Puts a text of user space behind what is there; how long it is, 0 where there is none. */
INLINE u32 put_text(struct scratch *scratch, u64 address, u32 most)
{
	u64 end = scratch->end;
	long length;

	OPAQUE(end);
	if (!address || end < MIDDLE || end > MIDDLE + 2 * PATH)
		return 0;
	length = probe_read_user_str(&scratch->text[end], most, (void *)address);
	if (length <= 1 || length > PATH)
		return 0;
	scratch->end = end + length - 1;
	return length - 1;
}

/* The place is relative to the current folder, unless it begins with a slash; so is what is mounted there. */
INLINE void tell_mount(u64 ns, u32 kind, u64 target, u64 source, u64 type, u64 flags)
{
	struct scratch *scratch = take();

	if (!scratch)
		return;
	begin(scratch, get_current_task_btf(), ns, kind, 1);
	scratch->event.flags = flags;
	if (put_base(scratch, AT_FDCWD, 0)) {
		scratch->event.parts[0] = put_text(scratch, target, PATH);
		scratch->event.parts[1] = put_text(scratch, source, PATH);
		scratch->event.parts[2] = put_text(scratch, type, 64);
	}
	if (scratch->event.parts[0])
		tell(scratch);
	else
		lose(LOST_ACCESSES);
	give_back(scratch);
}
