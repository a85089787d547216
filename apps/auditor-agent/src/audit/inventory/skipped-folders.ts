const SKIPPED = new Set([
  'node_modules',
  'bower_components',
  'jspm_packages',
  'site-packages',
  'vendor',
  'vendored',
  'third_party',
  'third-party',
  'dist',
  'build',
  'built',
  'out',
  'target',
  'coverage',
  'htmlcov',
  '__pycache__',
  'venv',
  'virtualenv',
  'storybook-static',
])

/**
 * Why a folder is not walked; undefined when it is. Folders that begin with a dot hold state of tools, except those
 * that hold configuration people commit.
 */
export function skipFolder(name: string, entries: readonly string[]): 'vendored or built' | 'tool state' | undefined {
  const lower = name.toLowerCase()
  if (SKIPPED.has(lower) || lower.endsWith('.egg-info') || entries.includes('pyvenv.cfg')) return 'vendored or built'
  return name.startsWith('.') && !KEPT_DOT_FOLDERS.has(lower) ? 'tool state' : undefined
}

const KEPT_DOT_FOLDERS = new Set([
  '.github',
  '.gitlab',
  '.circleci',
  '.devcontainer',
  '.docker',
  '.config',
  '.aws',
  '.ssh',
])
