/** What a file is written in, as far as the audits care. */
export type Language =
  | 'python'
  | 'typescript'
  | 'tsx'
  | 'javascript'
  | 'json'
  | 'yaml'
  | 'toml'
  | 'ini'
  | 'env'
  | 'dockerfile'
  | 'text'

export const isScript = (language: Language): boolean =>
  language === 'typescript' || language === 'tsx' || language === 'javascript'

/** The language of a file by its name; undefined for what no audit reads (pictures, archives, lock files, …). */
export function languageOf(name: string): Language | undefined {
  const lower = name.toLowerCase()
  if (LOCK_FILES.has(lower)) return undefined
  if (lower === '.env' || lower.startsWith('.env.') || lower.endsWith('.env')) return 'env'
  if (/^(docker|container)file(\.|$)/.test(lower) || lower.endsWith('.dockerfile')) return 'dockerfile'
  const extension = lower.slice(lower.lastIndexOf('.') + 1)
  return BY_NAME.get(lower) ?? (lower.includes('.') ? BY_EXTENSION.get(extension) : undefined)
}

const LOCK_FILES = new Set([
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'bun.lock',
  'bun.lockb',
  'poetry.lock',
  'pdm.lock',
  'uv.lock',
  'pipfile.lock',
  'pixi.lock',
  'cargo.lock',
  'composer.lock',
  'gemfile.lock',
  'go.sum',
  'flake.lock',
])

const BY_NAME = new Map<string, Language>([
  ['.npmrc', 'ini'],
  ['.pypirc', 'ini'],
  ['.netrc', 'text'],
  ['pipfile', 'toml'],
  ['id_rsa', 'text'],
  ['id_ed25519', 'text'],
  ['id_ecdsa', 'text'],
  ['makefile', 'text'],
  ['procfile', 'text'],
])

const BY_EXTENSION = new Map<string, Language>([
  ['py', 'python'],
  ['ts', 'typescript'],
  ['mts', 'typescript'],
  ['cts', 'typescript'],
  ['tsx', 'tsx'],
  ['js', 'javascript'],
  ['mjs', 'javascript'],
  ['cjs', 'javascript'],
  ['jsx', 'javascript'],
  ['json', 'json'],
  ['jsonc', 'json'],
  ['json5', 'json'],
  ['yaml', 'yaml'],
  ['yml', 'yaml'],
  ['toml', 'toml'],
  ['ini', 'ini'],
  ['cfg', 'ini'],
  ['conf', 'ini'],
  ['properties', 'ini'],
  ['prisma', 'text'],
  ['pem', 'text'],
  ['key', 'text'],
  ['sh', 'text'],
  ['bash', 'text'],
  ['zsh', 'text'],
  ['ps1', 'text'],
  ['tf', 'ini'],
  ['tfvars', 'ini'],
  ['hcl', 'ini'],
  ['sql', 'text'],
  ['xml', 'text'],
  ['md', 'text'],
  ['mdx', 'text'],
  ['rst', 'text'],
  ['txt', 'text'],
  ['html', 'text'],
  ['vue', 'text'],
  ['svelte', 'text'],
])
