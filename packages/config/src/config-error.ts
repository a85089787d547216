/** One thing that is wrong with one variable. `problem` and `fix` are for people; neither ever holds a value. */
export type ConfigProblem = Readonly<{ variable: string; problem: string; fix: string }>

/** The exit code of a process whose configuration is refused (EX_CONFIG of sysexits.h). */
export const CONFIG_EXIT_CODE = 78

/** Everything that is wrong with a configuration, at once: by variable, with the way out, and without a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly exitCode = CONFIG_EXIT_CODE
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(toText(problems))
    this.problems = problems
  }
}

function toText(problems: readonly ConfigProblem[]): string {
  const variables = [...new Set(problems.map(({ variable }) => variable))]
  const count = variables.length === 1 ? '1 variable has' : `${variables.length} variables have`
  const blocks = variables.map((variable) => {
    const own = problems.filter((problem) => problem.variable === variable)
    const fixes = new Set(own.map(({ fix }) => fix))
    return [
      `  ${variable}`,
      ...own.map(({ problem }) => `    ${problem}`),
      ...[...fixes].map((fix) => `    fix: ${fix}`),
    ]
  })
  return [`The configuration is refused: ${count} to be put right`, '', ...blocks.flat()].join('\n')
}
