import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { isSecretFile } from '../workspace/secret-files.ts'
import { Refused } from '../workspace/refused.ts'
import type { Difference } from '../workspace/workspace.ts'
import { POLICIES, TOOL_NAMES } from './policies.ts'
import type { ToolName, ToolPolicy } from './policies.ts'
import { fitsAny } from './wildcard.ts'

const Patterns = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 50, description })

/** How a task allows less than the coder does. */
export const TaskPolicy = Type.Object(
  {
    deny: Type.Optional(
      Type.Array(Type.Union(TOOL_NAMES.map((name) => Type.Literal(name))), {
        description: 'tools that are not to be used',
      }),
    ),
    paths: Type.Optional(Patterns('only files that fit one of these may be changed; * stands for any characters')),
    commands: Type.Optional(Patterns('only command lines that fit one of these may be run, such as "npm test*"')),
  },
  { additionalProperties: false },
)
export type TaskPolicy = Static<typeof TaskPolicy>

/** What the tools of one task may do: the table of the coder, narrowed by the skill and by the task. */
export class Policy {
  readonly #tools: ReadonlySet<ToolName>
  readonly #task: TaskPolicy

  constructor(tools: readonly ToolName[], task: TaskPolicy = {}) {
    this.#task = task
    this.#tools = new Set(tools.filter((name) => POLICIES[name].decision === 'allow'))
  }

  /** Of the skill; those that the task denies among them, so that a model is told when it asks for one. */
  get tools(): ReadonlySet<ToolName> {
    return this.#tools
  }

  /** @throws {Refused} */
  assertTool(name: ToolName): void {
    if (!this.#tools.has(name)) throw new Refused(`this task has no tool ${name}`)
    if (this.#task.deny?.includes(name) === true) throw new Refused(`the policy of this task denies ${name}`)
  }

  /** Why a tool may not change a path, or nothing. */
  judge(tool: ToolName): (difference: Difference) => string | undefined {
    const policy: ToolPolicy = POLICIES[tool]
    return ({ path, kind }) => {
      if (!this.#tools.has('write_file')) return 'this task changes nothing'
      if (kind === 'link') return `${path} is a link, and links are not made`
      if (isSecretFile(path) || fitsAny(path, policy.denyPaths ?? [])) return `${path} must not be changed`
      if (this.#task.paths !== undefined && !fitsAny(path, this.#task.paths)) {
        return `${path} is not among the paths that this task may change: ${this.#task.paths.join(', ')}`
      }
      return undefined
    }
  }

  /** @throws {Refused} */
  assertCommand(argv: readonly string[]): void {
    const [program = '', ...rest] = argv
    const programs = POLICIES.run_command.programs ?? {}
    const patterns = Object.hasOwn(programs, program) ? programs[program] : undefined
    if (patterns === undefined) {
      throw new Refused(`${program} is not among the programs that may be run: ${Object.keys(programs).join(', ')}`)
    }
    if (!fitsAny(rest.join(' '), patterns)) {
      throw new Refused(`${program} may be run with ${patterns.map((pattern) => `"${pattern}"`).join(', ')} only`)
    }
    const { commands } = this.#task
    if (commands !== undefined && !fitsAny(argv.join(' '), commands)) {
      throw new Refused(`this task may run only: ${commands.join(', ')}`)
    }
  }
}
