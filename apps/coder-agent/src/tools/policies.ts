/** The tools of the coder, in the order in which a model is told of them. */
export const TOOL_NAMES = ['list_files', 'search', 'read_file', 'apply_patch', 'write_file', 'run_command'] as const
export type ToolName = (typeof TOOL_NAMES)[number]

/** What one tool may do. Patterns are wildcards, see `fitsWildcard`. */
export interface ToolPolicy {
  readonly decision: 'allow' | 'deny'
  /** Paths that it must not change. */
  readonly denyPaths?: readonly string[]
  /** Programs that it may run, each with the arguments that it may get, joined by blanks. */
  readonly programs?: Readonly<Record<string, readonly string[]>>
}

const ANYTHING = ['*']
/** Beside the files that hold secrets, which no tool sees or makes. */
const PROTECTED = ['.gitmodules', '*/.gitmodules']

/** What the coder allows at most; a task can allow less and never more. */
export const POLICIES: Readonly<Record<ToolName, ToolPolicy>> = {
  list_files: { decision: 'allow' },
  search: { decision: 'allow' },
  read_file: { decision: 'allow' },
  apply_patch: { decision: 'allow', denyPaths: PROTECTED },
  write_file: { decision: 'allow', denyPaths: PROTECTED },
  run_command: {
    decision: 'allow',
    denyPaths: PROTECTED,
    // No shell, no package installation (there is no network), nothing that speaks to a remote. What they start is confined
    // by the sandbox; the list is there so that a model does what people expect of it.
    programs: {
      biome: ANYTHING,
      cargo: ['build*', 'check*', 'clippy*', 'fmt*', 'test*', '--version'],
      cat: ANYTHING,
      diff: ANYTHING,
      eslint: ANYTHING,
      find: ANYTHING,
      go: ['build*', 'fmt*', 'list*', 'run *', 'test*', 'version', 'vet*'],
      gofmt: ANYTHING,
      grep: ANYTHING,
      head: ANYTHING,
      jest: ANYTHING,
      ls: ANYTHING,
      make: ANYTHING,
      mypy: ANYTHING,
      node: ANYTHING,
      npm: ['test*', 'run *', '--version'],
      oxlint: ANYTHING,
      pnpm: ['test*', 'run *', '--version'],
      prettier: ANYTHING,
      pytest: ANYTHING,
      python: ANYTHING,
      python3: ANYTHING,
      ruff: ANYTHING,
      tail: ANYTHING,
      tsc: ANYTHING,
      vitest: ANYTHING,
      wc: ANYTHING,
    },
  },
}
