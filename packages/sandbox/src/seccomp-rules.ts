/** Numbers of system calls by architecture of Node, and what the kernel calls that architecture. */
export interface SystemCalls {
  /** AUDIT_ARCH_* of the kernel. */
  readonly audit: number
  /** Answered with ENOSYS: programs take another way, as they do on an older kernel. */
  readonly absent: readonly number[]
  /** Answered with EPERM. */
  readonly refused: readonly number[]
  readonly socket: number
}

/**
 * What namespaces and limits leave open.
 *
 * - memory that belongs to no process, and so to no limit: memfd_create, memfd_secret, shmget, msgget
 * - ways around this very filter: io_uring_setup, io_uring_enter, io_uring_register
 * - looking into other processes: ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_getfd
 * - what is not in any namespace: add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, open_by_handle_at,
 *   name_to_handle_at, syslog, quotactl
 * - building another view of the files: mount, umount2, pivot_root, chroot, unshare, setns, open_tree, move_mount, fsopen,
 *   fsconfig, fsmount, fspick, mount_setattr
 * - loading code into the kernel: init_module, finit_module, kexec_load, kexec_file_load
 */
export const SYSTEM_CALLS: Readonly<Partial<Record<NodeJS.Architecture, SystemCalls>>> = {
  x64: {
    audit: 0xc000003e,
    absent: [319, 447, 29, 68, 425, 426, 427],
    refused: [
      ...[101, 310, 311, 312, 438],
      ...[248, 249, 250, 321, 298, 323, 304, 303, 103, 179],
      ...[165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442],
      ...[175, 313, 246, 320],
    ],
    socket: 41,
  },
  arm64: {
    audit: 0xc00000b7,
    absent: [279, 447, 194, 186, 425, 426, 427],
    refused: [
      ...[117, 270, 271, 272, 438],
      ...[217, 218, 219, 280, 241, 282, 265, 264, 116, 60],
      ...[40, 39, 41, 51, 97, 268, 428, 429, 430, 431, 432, 433, 442],
      ...[105, 273, 104, 294],
    ],
    socket: 198,
  },
}

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. Others reach past the network namespace (AF_VSOCK) or deep into the kernel. */
export const SOCKET_FAMILIES: readonly number[] = [1, 2, 10, 16]
