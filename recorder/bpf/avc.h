/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records what SELinux reports: which permissions each container asked for that the policy does not give. An entry in a
 * table for each sort of thing, a bit for each permission: nothing is sent, so nothing is lost with nobody reading. */
#pragma once
#include "slots.h"

/* Namespaces times the sorts of things that each asks for: a container has some 50 of these. */
#define PERMISSIONS 16384
#define CONTEXTS 4096
/* The longest context, with its NUL: two levels of 15 categories each fit. */
#define CONTEXT 256
/* Names of classes and permissions that were seen; the kernel has some 1,500. */
#define WORDINGS 2048
#define WORDING 32
/* Stands for the class itself where others have the number of a permission. */
#define CLASS_ITSELF 32

struct selinux_audit_data {
	u32 ssid; /* SIDs: the kernel's numbers for contexts, the same until it is booted again */
	u32 tsid;
	unsigned short tclass;
	u32 denied; /* also what the policy asks not to be told of */
} CORE;

struct security_class_mapping {
	const char *name;
	const char *perms[33];
} CORE;

struct lsm_blob_sizes {
	int lbs_cred; /* where SELinux's part begins */
} CORE;

struct task_security_struct {
	u32 sid;
} CORE;

struct cred_security_struct { /* what it is called from 6.17 on */
	u32 sid;
} CORE;

struct asked {
	u64 ns;
	u32 source;
	u32 target;
	u32 tclass; /* as the kernel counts; the policy has other numbers */
	u32 unused;
};

struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(max_entries, PERMISSIONS);
	TYPE(key, struct asked);
	TYPE(value, u64); /* a bit for each permission, as the kernel counts */
} permissions SEC(".maps");

struct context {
	char text[CONTEXT];
};

struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(max_entries, CONTEXTS);
	TYPE(key, u32);
	TYPE(value, struct context);
} contexts SEC(".maps");

struct {
	UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct context);
} context_to_be SEC(".maps");

struct wording {
	u32 tclass;
	u32 permission;
};

struct word {
	char text[WORDING];
};

struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(max_entries, WORDINGS);
	TYPE(key, struct wording);
	TYPE(value, struct word);
} wordings SEC(".maps");

/* The contexts that programs were started under in a namespace. */
struct domain {
	u64 ns;
	u32 sid;
	u32 unused;
};

struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(max_entries, PERMISSIONS);
	TYPE(key, struct domain);
	TYPE(value, u32);
} domains SEC(".maps");

/* Where variables of the kernel are: user space finds it out. CLASSES is its own table of classes and permissions
 * (secclass_map), BLOBS tells where SELinux's part of credentials is (selinux_blob_sizes); 0 where that is not known. */
enum variable { CLASSES, BLOBS, VARIABLES };

struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(max_entries, VARIABLES);
	TYPE(key, u32);
	TYPE(value, u64);
} variables SEC(".maps");

INLINE u64 variable(enum variable which)
{
	u32 key = which;
	u64 *address = map_lookup(&variables, &key);

	return address ? *address : 0;
}

/* Keeps the text of a context; false where it does not fit. */
INLINE int keep_context(u32 sid, const void *text)
{
	u32 key = 0;
	struct context *context;
	long length;

	if (map_lookup(&contexts, &sid))
		return 1;
	context = map_lookup(&context_to_be, &key);
	if (!context)
		return 0;
	length = probe_read_kernel_str(context->text, CONTEXT, text);
	if (length <= 1 || length >= CONTEXT)
		return 0;
	return map_update(&contexts, &sid, context, BPF_ANY) == 0;
}

INLINE int keep_word(u32 tclass, u32 permission, const void *text)
{
	struct wording key = { tclass, permission };
	struct word word = {};

	if (map_lookup(&wordings, &key))
		return 1;
	if (probe_read_kernel_str(word.text, WORDING, text) <= 1)
		return 0;
	return map_update(&wordings, &key, &word, BPF_ANY) == 0;
}

/* Keeps the names of permissions of a class. The kernel's own table has them, by its own numbers. */
static __attribute__((noinline)) int keep_words(u32 tclass, u32 bits)
{
	const struct security_class_mapping *row = 0;
	u64 table = variable(CLASSES);
	u64 place;

	if (!table || !tclass)
		return 0;
	place = table + (u64)(tclass - 1) * __builtin_preserve_type_info(*row, 1) +
		__builtin_preserve_field_info(row->perms, 0);
	for (u32 permission = 0; permission < 32; permission++) {
		const void *text = 0;

		if (!(bits & 1U << permission))
			continue;
		if (probe_read_kernel(&text, sizeof(text), (void *)(place + permission * sizeof(text))))
			return 0;
		if (!keep_word(tclass, permission, text))
			return 0;
	}
	return 1;
}

SEC("raw_tp/selinux_audited")
int selinux_audited(struct bpf_raw_tracepoint_args *ctx)
{
	const struct selinux_audit_data *data = (void *)ctx->args[0];
	struct slot *slot = slot_of(get_current_task_btf());
	unsigned short tclass = 0;
	struct asked key = {};
	u64 bits, *known;
	u32 denied = 0;

	if (!slot || slot->muted & NO_PERMISSIONS)
		return 0;
	probe_read_kernel(&denied, sizeof(denied), __builtin_preserve_access_index(&data->denied));
	if (!denied) /* something that is given, and that the policy asks to be told of */
		return 0;
	probe_read_kernel(&tclass, sizeof(tclass), __builtin_preserve_access_index(&data->tclass));
	probe_read_kernel(&key.source, sizeof(key.source), __builtin_preserve_access_index(&data->ssid));
	probe_read_kernel(&key.target, sizeof(key.target), __builtin_preserve_access_index(&data->tsid));
	key.ns = slot->ns;
	key.tclass = tclass;
	bits = denied;
	known = map_lookup(&permissions, &key);
	if (known && (*known & bits) == bits)
		return 0;
	/* The words first: who finds a bit finds its name. */
	if (!keep_context(key.source, (void *)ctx->args[1]) || !keep_context(key.target, (void *)ctx->args[2]) ||
	    !keep_word(tclass, CLASS_ITSELF, (void *)ctx->args[3]) || !keep_words(tclass, denied))
		goto lost;
	if (!known) {
		if (map_update(&permissions, &key, &bits, BPF_NOEXIST) == 0)
			goto seen;
		/* No room, or somebody else was faster. */
		known = map_lookup(&permissions, &key);
		if (!known)
			goto lost;
	}
	__sync_fetch_and_or(known, bits);
seen:
	slot->newest = ktime_get_ns();
	return 0;
lost:
	lose(LOST_PERMISSIONS);
	return 0;
}

/* A program was started. The kernel reports once what is asked for with one context, by whichever container: with this,
 * those that ask for it next are known to be of that context, though nothing is reported of them. */
SEC("raw_tp/sched_process_exec")
int selinux_started(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = get_current_task_btf();
	const struct task_security_struct *older = 0;
	const struct cred_security_struct *newer = 0;
	const struct lsm_blob_sizes *sizes = (void *)variable(BLOBS);
	struct slot *slot = slot_of(task);
	struct domain key = {};
	u32 yes = 1;
	int place = 0;
	u64 member;

	if (!slot || slot->muted & NO_PERMISSIONS || !sizes)
		return 0;
	if (HAS(newer->sid))
		member = __builtin_preserve_field_info(newer->sid, 0);
	else if (HAS(older->sid))
		member = __builtin_preserve_field_info(older->sid, 0);
	else
		return 0;
	probe_read_kernel(&place, sizeof(place), __builtin_preserve_access_index(&sizes->lbs_cred));
	probe_read_kernel(&key.sid, sizeof(key.sid), task->cred->security + place + member);
	key.ns = slot->ns;
	if (!map_lookup(&domains, &key))
		map_update(&domains, &key, &yes, BPF_ANY);
	return 0;
}
