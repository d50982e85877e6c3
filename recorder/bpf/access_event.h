/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* How what was done comes to user space: as an event in a ring, once for each way in which a thing is used. Where there
 * is no room in the ring, nothing is remembered either, so that the next use is told. */
#pragma once
#include "slots.h"

/* The longest path, without its NUL. */
#define PATH 4096
/* What can follow a path: two of user space, and a name; three where there is room for them. */
#define TAIL (2 * PATH + 256)

/* What happened: `Kind` of src/kernel/access/event.rs. */
enum kind { FILE = 1, NAMED, CAPABILITY, SOCKET, SIGNAL, PTRACE, MOUNT, UMOUNT, PIVOT_ROOT, UNIX };

/* How a file is used: `Ways` of src/seen/access.rs. */
enum ways {
	USE_READ = 1,
	USE_WRITE = 1 << 1,
	USE_EXEC = 1 << 2,
	USE_MAP_EXEC = 1 << 3,
	USE_CREATE = 1 << 4,
	USE_REMOVE = 1 << 5,
	USE_RENAME = 1 << 6,
	USE_LINK = 1 << 7,
	USE_LOCK = 1 << 8,
};

/* Text follows: a path, without NUL, from the root of the mount namespace, and what belongs to it. */
struct event {
	u64 ns;
	u64 flags;   /* of mounts; of a name, enum name */
	u32 process; /* as the reader counts; 0 where it does not see it */
	u16 kind;
	u16 ways;
	u32 numbers[3];
	u32 path; /* how long the first part of the text is, */
	u32 parts[3]; /* and the others */
	u32 size; /* of all */
};

#define HEAD sizeof(struct event)
_Static_assert(HEAD == 56, "as src/kernel/access/event.rs reads it");
/* Paths grow from here to the front, what follows them to the back. */
#define MIDDLE (HEAD + PATH)
#define EVENT_MAX (HEAD + PATH + TAIL)

/* Where an event is put together. */
struct scratch {
	u32 busy;
	u32 start;
	u32 end;
	u32 place; /* among all of them */
	u64 arguments[6];
	struct event event;
	char text[PATH + EVENT_MAX + 8];
};

/* So many for each processor: what is under way there can be interrupted by what is recorded too. */
#define SCRATCHES 4

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, SCRATCHES); /* user space knows how many processors there are */
	TYPE(key, u32);
	TYPE(value, struct scratch);
} access_scratch SEC(".maps");

struct {
	UINT(type, BPF_MAP_TYPE_RINGBUF);
	UINT(max_entries, 16 << 20); /* bytes; user space may want another size */
} access_events SEC(".maps");

/* 128 bits of what was done, with the namespace, by which all of one are found. */
struct key {
	u64 ns;
	u64 first;
	u64 second;
};

/* In which ways each thing was used: what was told. */
struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(max_entries, 1 << 19);
	UINT(map_flags, BPF_F_NO_PREALLOC);
	TYPE(key, struct key);
	TYPE(value, u32);
} access_seen SEC(".maps");

/* The same by what the kernel knows of a file without its path: only a shorter way to the same answer. */
struct {
	UINT(type, BPF_MAP_TYPE_LRU_HASH);
	UINT(max_entries, 1 << 16);
	TYPE(key, struct key);
	TYPE(value, u32);
} access_recent SEC(".maps");

/* How many times something could not be remembered, and may be told again. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u64);
} access_forgotten SEC(".maps");

INLINE struct scratch *take(void)
{
	u32 place = get_smp_processor_id() * SCRATCHES;

	for (u32 i = 0; i < SCRATCHES; i++) {
		u32 key = place + i;
		struct scratch *scratch = map_lookup(&access_scratch, &key);

		if (scratch && !__sync_val_compare_and_swap(&scratch->busy, 0, 1)) {
			scratch->place = key;
			return scratch;
		}
	}
	lose(LOST_ACCESSES);
	return 0;
}

INLINE void give_back(struct scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->busy, 0);
}

INLINE void begin(struct scratch *scratch, struct task_struct *task, u64 ns, u32 kind, u32 ways)
{
	scratch->event = (struct event){ .ns = ns, .process = process_of(task), .kind = kind, .ways = ways };
	scratch->start = scratch->end = MIDDLE;
}

INLINE void mix(struct key *key, u64 word)
{
	key->first = (key->first ^ word) * 0x9e3779b97f4a7c15ULL;
	key->first ^= key->first >> 29;
	key->second = (key->second + word) * 0xc2b2ae3d27d4eb4fULL;
	key->second ^= key->second >> 32;
}

struct hashing {
	struct scratch *scratch;
	struct key key;
};

static long hash_word(u32 index, struct hashing *hashing)
{
	struct scratch *scratch = hashing->scratch;
	u64 at = scratch->start + 8ULL * index;

	if (at > EVENT_MAX + PATH)
		return 1;
	mix(&hashing->key, *(u64 *)&scratch->text[at]);
	return 0;
}

INLINE void remember(void *map, struct key *key, u32 *known, u32 ways)
{
	u32 none = 0;
	u64 *forgotten;

	if (known)
		__sync_fetch_and_or(known, ways);
	else if (map_update(map, key, &ways, 0)) {
		forgotten = map_lookup(&access_forgotten, &none);
		if (forgotten)
			__sync_fetch_and_add(forgotten, 1);
	}
}

/* What is done in several places with a scratch is apart: there it is found by its place, as only numbers are given. */
APART int tell_at(u32 place)
{
	struct scratch *scratch = map_lookup(&access_scratch, &place);
	struct hashing hashing = { .scratch = scratch };
	struct event *event;
	u64 start, end, size;
	u32 ways, *known;

	if (!scratch)
		return 0;
	event = &scratch->event;
	ways = event->ways;
	start = scratch->start;
	end = scratch->end;
	size = end - start + HEAD;
	if (start < HEAD || start > MIDDLE || end < MIDDLE || end > MIDDLE + TAIL || size > EVENT_MAX)
		return 0;
	/* What is left of others behind the end is not part of the text. */
	*(u64 *)&scratch->text[end] = 0;
	hashing.key.ns = event->ns;
	mix(&hashing.key, (u64)event->kind << 32 | event->numbers[0]);
	mix(&hashing.key, (u64)event->numbers[1] << 32 | event->numbers[2]);
	mix(&hashing.key, event->flags);
	mix(&hashing.key, (u64)event->path << 32 | event->parts[0]);
	mix(&hashing.key, (u64)event->parts[1] << 32 | event->parts[2]);
	loop((size - HEAD + 7) / 8, hash_word, &hashing, 0);
	known = map_lookup(&access_seen, &hashing.key);
	if (known)
		ways &= ~*known;
	if (!ways)
		return 1;
	event->ways = ways;
	event->size = size;
	start -= HEAD;
	if (start > PATH)
		return 0;
	probe_read_kernel(&scratch->text[start], HEAD, event);
	if (ringbuf_output(&access_events, &scratch->text[start], size, 0)) {
		lose(LOST_ACCESSES);
		return 0;
	}
	remember(&access_seen, &hashing.key, known, ways);
	return 1;
}

/* Tells what is in the scratch, unless it was told. 0 where it could not be told, which is counted. */
INLINE int tell(struct scratch *scratch)
{
	return tell_at(scratch->place);
}

/* A thing without text. 0 where it could not be told, which is counted. */
APART int tell_numbers(u64 ns, u32 kind, u32 first, u32 second, u32 third)
{
	struct scratch *scratch = take();
	int told;

	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, kind, 1);
	scratch->event.numbers[0] = first;
	scratch->event.numbers[1] = second;
	scratch->event.numbers[2] = third;
	told = tell(scratch);
	give_back(scratch);
	return told;
}

/* Whether the running program is the workload's, that is: it comes from inside, or its parent is inside as well. What a
 * runtime does under the workload's filter before its first exec needs no rule. The id of its namespace; else 0. */
APART u64 recorded(void)
{
	struct task_struct *task = get_current_task_btf();
	struct mnt_namespace *ns = namespace_of(task);
	struct slot *slot = slot_of(task);

	if (!ns || !slot || slot->muted & NO_ACCESSES || !runs_inside(task, ns))
		return 0;
	return namespace_id(ns);
}
