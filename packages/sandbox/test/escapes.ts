import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** What an escape aims at: things of this machine that are none of a command's business. */
export interface Targets {
  readonly workspace: string
  /** A folder beside the workspace, with `secret` in it. */
  readonly elsewhere: string
  /** What must not be read: content of `secret`, of the environment of `bystander`, and the answer of the sockets. */
  readonly token: string
  /** A process of our own user, with the token in its environment and on its command line. */
  readonly bystander: number
  readonly unixSocket: string
  readonly abstractSocket: string
  readonly port: number
  readonly redisPort: number
  readonly postgresPort: number
}

export interface Escape {
  readonly name: string
  /** Prints ESCAPED, or the token, when it has what it wants. */
  readonly argv: (targets: Targets) => readonly [string, ...string[]]
  /** The file of this machine that is there when it got through. */
  readonly leaves?: (targets: Targets) => string
  /** Set when only root can do it outside, so nobody else can show that the script works. */
  readonly needsRoot?: true
  /** Set when not every kernel offers it at all. */
  readonly mayBeAbsent?: true
}

const sh = (script: string): readonly [string, ...string[]] => ['/bin/sh', '-c', script]
const node = (script: string): readonly [string, ...string[]] => [process.execPath, '-e', script]
const perl = (script: string): readonly [string, ...string[]] => ['/usr/bin/perl', '-e', script]

const connectTo = (target: string, hello: string): readonly [string, ...string[]] =>
  node(`const s = require('net').connect(${target}); s.on('error', (e) => console.log(e.code));
    s.on('connect', () => s.write(Buffer.from(${JSON.stringify(hello)}, 'latin1'))); setTimeout(() => s.destroy(), 2000).unref()
    s.on('data', (d) => { console.log('ESCAPED', d.toString()); s.destroy() })`)

const calls =
  process.arch === 'arm64'
    ? { ptrace: 117, memfdCreate: 279, addKey: 217, shmget: 194, ioUringSetup: 425, openByHandle: 265 }
    : { ptrace: 101, memfdCreate: 319, addKey: 248, shmget: 29, ioUringSetup: 425, openByHandle: 304 }

const REACHING = 64 * 1024 * 1024

/** Two files, each small enough for the limit of one. */
const fillWithFiles = (folder: string): string =>
  `f=${folder}/hc-probe-$$; head -c ${REACHING / 2 + 1} /dev/zero > $f.a && head -c ${REACHING / 2 + 1} /dev/zero > $f.b && echo ESCAPED; rm -f $f.*`

export const ESCAPES: readonly Escape[] = [
  { name: 'read a secret file', argv: (t) => sh(`cat ${t.elsewhere}/secret`) },
  { name: 'read it through /proc/self/root', argv: (t) => sh(`cat /proc/self/root${t.elsewhere}/secret`) },
  { name: 'read it on the way up from the workspace', argv: (t) => sh(`cat ../${path.basename(t.elsewhere)}/secret`) },
  {
    name: 'read it through a link in the workspace',
    argv: (t) => {
      symlinkSync(path.join(t.elsewhere, 'secret'), path.join(t.workspace, 'link'))
      return sh('cat link')
    },
  },
  { name: 'make a hard link to it', argv: (t) => sh(`ln ${t.elsewhere}/secret ./hard && cat hard`) },
  { name: 'read the environment of another process', argv: (t) => sh(`cat /proc/${t.bystander}/environ`) },
  { name: 'read the environment of any process', argv: () => sh('cat /proc/[0-9]*/environ 2>/dev/null; true') },
  { name: 'read the environment that it inherits', argv: () => sh('env') },
  { name: 'see other processes', argv: () => sh('cat /proc/[0-9]*/cmdline 2>/dev/null; true') },
  {
    name: 'find the memory of a process that is not its own',
    argv: (t) => sh(`test -e /proc/${t.bystander}/maps && echo ESCAPED`),
  },
  { name: 'connect to a port of this machine', argv: (t) => connectTo(`${t.port}, '127.0.0.1'`, 'hello') },
  { name: 'connect to Redis', argv: (t) => connectTo(`${t.redisPort}, '127.0.0.1'`, 'PING\r\n') },
  {
    name: 'connect to Postgres',
    argv: (t) => connectTo(`${t.postgresPort}, '127.0.0.1'`, '\0\0\0\x08\x04\xd2\x16\x2f'),
  },
  {
    name: 'have a way to the metadata address', // a datagram socket is connected when there is a route; nothing is sent
    argv: () =>
      node(`const s = require('dgram').createSocket('udp4'); s.on('error', (e) => { console.log(e.code); s.close() })
        s.connect(80, '169.254.169.254', (e) => { console.log(e ? e.code : 'ESCAPED'); s.close() })`),
  },
  {
    name: 'see the network interfaces of this machine',
    argv: () => sh("tail -n +3 /proc/net/dev | grep -v '^ *lo:' | grep -q . && echo ESCAPED"),
  },
  { name: 'connect to a unix socket', argv: (t) => connectTo(JSON.stringify(t.unixSocket), 'hello') },
  { name: 'connect to an abstract unix socket', argv: (t) => connectTo(JSON.stringify(t.abstractSocket), 'hello') },
  {
    name: 'open a socket that knows no namespace', // AF_ALG: the kernel's ciphers
    argv: () => perl('print socket(my $s, 38, 5, 0) ? "ESCAPED" : $!'),
    mayBeAbsent: true,
  },
  {
    name: 'write outside of the workspace',
    argv: (t) => sh(`echo x > ${t.elsewhere}/written`),
    leaves: (t) => path.join(t.elsewhere, 'written'),
  },
  {
    name: 'write to the folder above',
    argv: () => sh('echo x > ../written'),
    leaves: (t) => path.join(t.workspace, '../written'),
  },
  {
    name: 'write through a link to a folder',
    argv: (t) => {
      symlinkSync(t.elsewhere, path.join(t.workspace, 'folder'))
      return sh('echo x > folder/written')
    },
    leaves: (t) => path.join(t.elsewhere, 'written'),
  },
  {
    name: 'write to the programs',
    argv: () => sh('touch /usr/.hc-probe && rm /usr/.hc-probe && echo ESCAPED'),
    needsRoot: true,
  },
  {
    name: 'change a setting of the kernel',
    argv: () => sh('f=/proc/sys/vm/swappiness; v=$(cat $f) && echo $v > $f && echo ESCAPED'),
    needsRoot: true,
  },
  { name: 'read the settings of its devices', argv: () => sh('test -d /sys/class && echo ESCAPED') },
  {
    name: 'reach a disk',
    argv: () => perl('for (glob "/dev/*") { if (-b $_) { print "ESCAPED"; last } }'),
    mayBeAbsent: true,
  },
  {
    name: 'trace another process',
    argv: () =>
      perl(
        `my $p = fork; if (!$p) { sleep 5; exit } print syscall(${calls.ptrace}, 16, $p, 0, 0) == 0 ? "ESCAPED" : $!; kill 9, $p`,
      ),
  },
  { name: 'kill another process', argv: (t) => sh(`kill -9 ${t.bystander} && echo ESCAPED`) },
  {
    name: 'become root',
    argv: () => perl('$( = $) = 0; $< = $> = 0; print(($< == 0 && $> == 0) ? "ESCAPED" : "no")'),
    needsRoot: true,
  },
  {
    name: 'run a program that gains privileges', // what decides about setuid programs
    argv: (t) => {
      const copy = path.join(t.workspace, 'gain')
      writeFileSync(copy, '#!/bin/sh\ngrep -q "NoNewPrivs:.*0" /proc/self/status && echo ESCAPED\n')
      chmodSync(copy, 0o4755)
      return [copy]
    },
  },
  { name: 'have capabilities', argv: () => sh('grep -E "^CapBnd:.*[1-9a-f]" /proc/self/status && echo ESCAPED') },
  { name: 'make a user namespace', argv: () => sh('unshare -Ur true && echo ESCAPED') },
  { name: 'mount', argv: () => sh('unshare -Urm mount -t tmpfs none /mnt && echo ESCAPED') },
  {
    name: 'leave something in a keyring',
    argv: () =>
      perl(
        `my ($t, $n, $v) = ("user", "hc-probe", "x"); print syscall(${calls.addKey}, $t, $n, $v, 1, -2) > 0 ? "ESCAPED" : $!`,
      ),
    mayBeAbsent: true,
  },
  {
    name: 'use the ring that passes by the filter',
    argv: () => perl(`my $p = "\\0" x 120; print syscall(${calls.ioUringSetup}, 4, $p) > 0 ? "ESCAPED" : $!`),
    mayBeAbsent: true,
  },
  {
    name: 'open a file by its number',
    argv: () =>
      perl(`my $h = pack("IIQ", 8, 1, 2); my $r = syscall(${calls.openByHandle}, -100, $h, 0); my $e = $! + 0;
        print(($r >= 0 || $e != 1) ? "ESCAPED" : "EPERM")`), // anything but EPERM: it was looked for
    needsRoot: true,
  },
  {
    name: 'hold memory that belongs to no process',
    argv: () => perl(`my $n = "x"; print syscall(${calls.memfdCreate}, $n, 0) > 0 ? "ESCAPED" : $!`),
  },
  {
    name: 'hold shared memory that belongs to no process',
    argv: () =>
      perl(
        `my $i = syscall(${calls.shmget}, 0, 4096, 0600); print $i >= 0 ? "ESCAPED" : $!; shmctl($i, 0, 0) if $i >= 0`,
      ),
  },
  {
    name: 'fill the memory through /dev/shm',
    argv: () => sh(fillWithFiles('/dev/shm')),
  },
  {
    name: 'fill the memory through /tmp',
    argv: () => sh(fillWithFiles('/tmp')),
  },
  {
    name: 'fill the disk with one file',
    argv: () => sh(`head -c ${REACHING} /dev/zero > big && echo ESCAPED; rm -f big`),
  },
]
