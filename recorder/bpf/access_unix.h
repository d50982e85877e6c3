/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Unix sockets, by the name that whoever is spoken to has. One in the file system is a file, which AppArmor wants to be
 * read and written by both sides, and names as whoever bound it sees it (aa_unix_peer_perm of the kernel); others have an
 * address. */
#pragma once
#include "access_name.h"
#include "access_other.h"

#define AF_UNIX 1
/* What is before a name, and the longest one. */
#define FAMILY 2
#define ADDRESS 108

/* Whether the kernel's BTF says where a socket's name is: it does not where unix sockets are a module. */
INLINE int can_read_sockets(void)
{
	return HAS(((struct unix_sock *)0)->addr);
}

INLINE u32 family_of(struct sock *sock)
{
	u16 family = 0;

	READ(family, sock, __sk_common.skc_family);
	return family;
}

/* Tells an address that is in no file system, as it is in the scratch; a NUL is its first byte. */
INLINE void tell_address(struct scratch *scratch, struct sock *sock, u64 length)
{
	u16 kind = 0;

	READ(kind, sock, sk_type);
	scratch->event.numbers[0] = kind;
	scratch->event.parts[0] = length;
	scratch->end = MIDDLE + length;
	tell(scratch);
}

/* An address that the kernel has. */
APART int tell_own_address(u64 sock_at, u64 name, u64 length, u64 ns)
{
	struct scratch *scratch;

	length -= FAMILY;
	if (length < 2 || length > ADDRESS)
		return 0;
	scratch = take();
	if (!scratch)
		return 0;
	begin(scratch, get_current_task_btf(), ns, UNIX, 1);
	OPAQUE(length);
	if (length > ADDRESS || probe_read_kernel(&scratch->text[MIDDLE], length, (void *)name + FAMILY))
		lose(LOST_ACCESSES);
	else if (!scratch->text[MIDDLE])
		tell_address(scratch, (struct sock *)sock_at, length);
	give_back(scratch);
	return 0;
}

/* What a socket is bound to. */
INLINE int tell_bound(u64 sock_at, u32 ways, u64 ns)
{
	struct unix_sock *sock = (void *)sock_at;
	struct unix_address *address = 0;
	struct dentry *dentry = 0;
	struct vfsmount *mnt = 0;
	u32 length = 0;
	u64 name;

	if (!sock_at || !can_read_sockets())
		return 0;
	READ(dentry, sock, path.dentry);
	READ(mnt, sock, path.mnt);
	if (dentry)
		return tell_path((u64)dentry, (u64)mnt, ways, 0);
	READ(address, sock, addr);
	if (!address)
		return 0;
	READ(length, address, len);
	name = (u64)address + __builtin_preserve_field_info(((struct unix_address *)0)->name, 0);
	return tell_own_address(sock_at, name, length, ns);
}

/* The socket that a file is, if it is one of these. */
INLINE struct sock *unix_socket(struct file *file)
{
	struct socket *socket = 0;
	struct dentry *dentry = 0;
	struct sock *sock = 0;

	if (!file)
		return 0;
	READ(dentry, file, f_path.dentry);
	if ((mode_of(dentry) & S_IFMT) != S_IFSOCK)
		return 0;
	READ(socket, file, private_data);
	READ(sock, socket, sk);
	return sock && family_of(sock) == AF_UNIX ? sock : 0;
}

/* An address in user space, without the family; 0 where it cannot be read. */
INLINE int tell_name(struct scratch *scratch, u64 sock, u64 name, u64 length, u64 ns)
{
	long read;

	OPAQUE(length);
	if (length > ADDRESS)
		return 0;
	/* It ends with a NUL, or where it is said to end. */
	read = probe_read_user_str(&scratch->text[MIDDLE], length + 1, (void *)name);
	if (read < 0 || read > ADDRESS + 1)
		return 0;
	if (read > 1) {
		begin(scratch, get_current_task_btf(), ns, NAMED, USE_READ | USE_WRITE);
		scratch->event.flags = FOLLOWED;
		scratch->event.parts[0] = read - 1;
		scratch->end = MIDDLE + read - 1;
		if (!put_base(scratch, AT_FDCWD, scratch->text[MIDDLE]))
			return 0;
		tell(scratch);
	} else if (length > 1) {
		begin(scratch, get_current_task_btf(), ns, UNIX, 1);
		if (probe_read_user(&scratch->text[MIDDLE], length, (void *)name))
			return 0;
		tell_address(scratch, (struct sock *)sock, length);
	}
	return 1;
}

/* Something was sent to an address that the program has given: it is read again where the kernel has just read it. */
APART int tell_given(u64 sock, u64 address, u64 length, u64 ns)
{
	struct scratch *scratch;

	length -= FAMILY;
	if (length < 1 || length > ADDRESS)
		return 0;
	scratch = take();
	if (!scratch)
		return 0;
	if (!tell_name(scratch, sock, address + FAMILY, length, ns))
		lose(LOST_ACCESSES);
	give_back(scratch);
	return 0;
}

/* What was done with a unix socket: to whom it is connected after connect(2) the kernel knows, to whom something was sent
 * only the program. */
APART int used_socket(u32 action, u64 number, u64 address, u64 length, u64 ns)
{
	struct unix_sock *sock = (void *)unix_socket(file_of(get_current_task_btf(), number));
	struct sock *peer = 0;

	if (!sock)
		return 0;
	if (action == BINDS) {
		tell_bound((u64)sock, USE_CREATE | USE_READ | USE_WRITE, ns);
	} else if (action == CONNECTS) {
		if (can_read_sockets())
			READ(peer, sock, peer);
		tell_bound((u64)peer, USE_READ | USE_WRITE, ns);
	} else {
		tell_given((u64)sock, address, length, ns);
	}
	return 0;
}

/* What is asked of socketcall(2), as linux/net.h numbers it. */
INLINE u32 asked(u64 call)
{
	switch (call) {
	case 1: /* SYS_SOCKET */
	case 8: /* SYS_SOCKETPAIR */
		return SOCKETS;
	case 2: /* SYS_BIND */
		return BINDS;
	case 3: /* SYS_CONNECT */
		return CONNECTS;
	case 11: /* SYS_SENDTO */
		return SENDS_TO;
	case 16: /* SYS_SENDMSG */
	case 20: /* SYS_SENDMMSG */
		return SENDS_MESSAGE;
	default:
		return 0;
	}
}

/* Sockets that were made and used. */
APART int sockets(u32 abi, u32 place, u64 ns, u64 result)
{
	const struct pt_regs *regs = task_pt_regs(get_current_task_btf());
	struct call *call = map_lookup(&access_calls, &place);
	u64 number = argument(regs, abi, 0), second = argument(regs, abi, 1), third = argument(regs, abi, 2), name[2] = {};
	u32 action, numbers[6] = {};
	u16 family = 0;

	if (!call || (long)result < 0)
		return 0;
	action = call->action;
	if (action == SOCKETS_BY_POINTER) {
		action = asked(number);
		/* They are in memory; behind the fewer ones there may be the end of it. */
		if (!action || abi != COMPAT ||
		    probe_read_user(numbers, action == SENDS_TO ? 24 : action == SENDS_MESSAGE ? 8 : 12, (void *)second))
			return 0;
		number = numbers[0];
		second = action == SENDS_TO ? numbers[4] : numbers[1];
		third = action == SENDS_TO ? numbers[5] : numbers[2];
	} else if (action == SENDS_TO) {
		second = argument(regs, abi, 4);
		third = argument(regs, abi, 5);
	}
	if (action == SOCKETS) {
		tell_number(ns, SOCKET, number, second & 15, third);
		return 0;
	}
	if (action == SENDS_MESSAGE) { /* struct msghdr, or many: the address of the name, and how long it is */
		if (abi == NATIVE) {
			probe_read_user(name, sizeof(name), (void *)second);
		} else if (!probe_read_user(numbers, 8, (void *)second)) {
			name[0] = numbers[0];
			name[1] = numbers[1];
		}
		second = name[0];
		third = name[1];
	}
	third = (u32)third;
	/* Without a name a socket gets one that is another each time. */
	if (!second || third <= FAMILY || probe_read_user(&family, sizeof(family), (void *)second) || family != AF_UNIX)
		return 0;
	used_socket(action, number, second, third, ns);
	return 0;
}
