/**
 * Which variables a blueprint or a spawn may set. What decides which code runs, whom it trusts, where its traffic goes or who it is, is
 * the factory's alone: everything that a runtime, the loader, a shell, git or TLS reads on its own account.
 */

/** Read by node, npm and the other runtimes and loaders that an agent may start, whatever comes after these letters. */
const PREFIXES = [
  'NODE_',
  'NPM_',
  'PNPM_',
  'YARN_',
  'COREPACK_',
  'BUN_',
  'DENO_',
  'UV_',
  'V8_',
  'ELECTRON_',
  'LD_',
  'DYLD_',
  'MALLOC_',
  'GLIBC_',
  'GCONV_',
  'PYTHON',
  'PERL',
  'RUBY',
  'GEM_',
  'BUNDLE_',
  'JAVA_',
  'JDK_',
  'CLASSPATH',
  'LUA_',
  'PHP_',
  'CARGO_',
  'RUSTC_',
  'BASH_',
  'ZDOTDIR',
  'GIT_',
  'SSH_',
  'GPG_',
  'SSL_',
  'OPENSSL_',
  'CURL_',
  'REQUESTS_CA_',
  'SUDO_',
  'XDG_',
  'SYSTEMD_',
  'DOCKER_',
  'KUBE',
  'HYPERCODE_',
  'FACTORY_',
] as const

const NAMES: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'PWD', 'OLDPWD', 'CDPATH', 'USER', 'LOGNAME', 'HOSTNAME', 'TMP', 'TEMP', 'TMPDIR'],
  ...['SHELL', 'ENV', 'IFS', 'PS4', 'PROMPT_COMMAND', 'SHELLOPTS', 'EDITOR', 'VISUAL', 'PAGER', 'MANPAGER', 'BROWSER'],
  ...['LESSOPEN', 'LESSCLOSE', 'LOCPATH', 'NLSPATH', 'HOSTALIASES', 'RES_OPTIONS', 'LOCALDOMAIN', 'MAKEFLAGS'],
  ...['GOPATH', 'GOROOT', 'GOFLAGS', 'GOENV', 'PHPRC'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'FTP_PROXY'],
  ...['HOST', 'AGENT_PORT', 'AGENT_SLOTS'],
])

/** Names by which programs look for something to read or to log in with. */
const FILE = /_FILE$/
const SECRET = /(^|_)(SECRET|PASSWORD|PASSWD|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS)$/

export interface EnvFault {
  readonly message: string
  readonly fix?: string
}

/** Why nobody but the factory may set the variable; undefined when anybody may. */
export function reservedName(name: string): EnvFault | undefined {
  if (name === 'AGENT_SLOTS') return { message: 'is set by the factory', fix: 'Use spec.slots.' }
  if (FILE.test(name)) return { message: 'names a file to read', fix: 'Put the content into spec.secrets.' }
  if (NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix))) {
    return { message: 'decides what runs, or as whom, and is not set by a blueprint' }
  }
  return undefined
}

/** The same for a variable whose value stands in a manifest, which is no place for a secret. */
export function envNameFault(name: string): EnvFault | undefined {
  if (SECRET.test(name)) return { message: 'is the name of a secret', fix: 'Give it by name in spec.secrets.' }
  return reservedName(name)
}
