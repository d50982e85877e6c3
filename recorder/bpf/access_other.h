/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is no file: capabilities, sockets, signals, processes that are traced. */
#pragma once
#include "access_path.h"

/* Functions of the kernel that only ask whether a capability is there, as for each page of memory: AppArmor says nothing
 * of that. User space finds where they are. */
#define SILENT 8
/* So far up the functions that called each other are looked for them. */
#define FRAMES 10

struct span {
	u64 from;
	u64 to;
};

struct silent {
	struct span spans[SILENT];
};

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct silent);
} access_silent SEC(".maps");

INLINE int is_silent(void *context)
{
	u64 frames[FRAMES] = {};
	u32 none = 0;
	struct silent *silent = map_lookup(&access_silent, &none);

	if (!silent || get_stack(context, frames, sizeof(frames), 0) <= 0)
		return 1;
	for (int i = 0; i < SILENT; i++) {
		u64 from = silent->spans[i].from, to = silent->spans[i].to;

		if (!to)
			break;
#pragma unroll
		for (int j = 0; j < FRAMES; j++)
			if (frames[j] >= from && frames[j] < to)
				return 1;
	}
	return 0;
}

/* A thing without text, unless it is known to be known. */
INLINE void tell_number(u64 ns, enum kind kind, u32 first, u32 second, u32 third)
{
	struct key key = { .ns = ns, .first = (u64)kind << 32 | first, .second = (u64)second << 32 | third };
	u32 *known = map_lookup(&access_recent, &key);

	if (!known && tell_numbers(ns, kind, first, second, third))
		remember(&access_recent, &key, 0, 1);
}

INLINE int is_known(u64 ns, enum kind kind, u32 first)
{
	struct key key = { .ns = ns, .first = (u64)kind << 32 | first };

	return map_lookup(&access_recent, &key) != 0;
}

/* After the capability was found to be there: what is not there is asked of nobody else. */
SEC("tp_btf/cap_capable")
int access_capable(u64 *context)
{
	u32 capability = context[3];
	s32 result = context[4];
	u64 ns;

	if (result)
		return 0;
	ns = recorded();
	if (!ns || is_known(ns, CAPABILITY, capability) || is_silent(context))
		return 0;
	tell_number(ns, CAPABILITY, capability, 0, 0);
	return 0;
}

/* Whether a process is in the same container as the running one. */
INLINE u32 is_inside(struct task_struct *other)
{
	struct mnt_namespace *ns = namespace_of(get_current_task_btf());

	return ns && namespace_of(other) == ns;
}

/* Whether a signal was sent by a process: some of the kernel's own look as if they were. */
INLINE int is_sent(u64 info)
{
	struct kernel_siginfo *about = (void *)info;
	s32 code = 1;

	if (info <= 1) /* SEND_SIG_NOINFO, SEND_SIG_PRIV */
		return 0;
	READ(code, about, si_code);
	return code <= 0 && (code > -2 || code < -5); /* SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO */
}

SEC("tp_btf/signal_generate")
int access_signal(u64 *context)
{
	u32 signal = context[0];
	struct task_struct *to = (void *)context[2];
	u64 info = 0, ns;

	probe_read_kernel(&info, sizeof(info), &context[1]);
	if (!is_sent(info))
		return 0;
	ns = recorded();
	if (ns)
		tell_number(ns, SIGNAL, signal, is_inside(to), 0);
	return 0;
}
