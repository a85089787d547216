import type { AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import { isScript } from '../inventory/languages.ts'
import { finding } from '../rule.ts'
import type { Rule } from '../rule.ts'
import type { Project } from '../source/project.ts'
import { Services } from '../source/services.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'
import { readAgents } from './read-agents.ts'
import { NO_SHARED_BASE, OTHER_BASE, OWN_RUNTIME, WITHOUT_BASE } from './rules.ts'
import { unitOf } from './units.ts'
import type { Unit } from './units.ts'

/** One agent with everything that its files say about what it stands on. */
interface Agent extends Unit {
  /** Classes that it defines, and what they extend. */
  readonly classes: Map<string, readonly string[]>
  readonly frameworks: Set<string>
  usesDefine: boolean
  /** Where to point at: its own runtime, else its agent class. */
  runtime?: Draft
  agentClass?: Draft
}

type Draft = (rule: Rule, title: string) => AuditFinding

/** Finds agents that do not stand on the same base as the others. With one base, or fewer than two agents, there are none. */
export function agentConsistencyAudit(project: Project): Audit {
  const services = new Services(project.inventory)
  const agents = new Map<string, Agent>()
  /** Every class of the repository by name: what it extends. Agents inherit through code that they share. */
  const classes = new Map<string, readonly string[]>()
  return {
    kind: 'agent-consistency',
    wants: (file) => file.role === 'source' && (file.language === 'python' || isScript(file.language)),
    visit(file) {
      const unit = unitOf(file.path, services)
      if (unit === undefined && !/Agent/.test(file.text)) return
      const facts = readAgents(file)
      for (const { name, bases } of facts.classes) if (!classes.has(name)) classes.set(name, bases)
      if (unit === undefined) return
      const agent = agents.get(unit.root) ?? { ...unit, classes: new Map(), frameworks: new Set(), usesDefine: false }
      agents.set(unit.root, agent)
      collect(agent, file, facts)
    },
    finish: () => judge([...agents.values()].filter(isAgent), classes),
  }
}

function collect(agent: Agent, file: SourceFile, { classes, runtimes, defines }: ReturnType<typeof readAgents>): void {
  for (const { name, bases } of classes) agent.classes.set(name, bases)
  for (const { framework } of runtimes) agent.frameworks.add(framework)
  if (defines.length > 0) agent.usesDefine = true
  const [runtime] = runtimes
  const agentClass = classes.find(({ name, bases }) => isAgentName(name) || bases.some(isAgentName))
  if (runtime !== undefined) agent.runtime ??= drafter(file, runtime)
  if (agentClass !== undefined) agent.agentClass ??= drafter(file, agentClass)
}

function drafter(file: SourceFile, { line, endLine }: Lines): Draft {
  const made = finding(OWN_RUNTIME, file, { line, endLine: Math.min(endLine, line + 5) })
  return ({ id, impact, recommendation, confidence, priority }, title) => ({
    ...made,
    rule: id,
    title,
    impact,
    recommendation,
    confidence,
    priority,
  })
}

const isAgentName = (name: string): boolean =>
  /Agent(Base)?$/.test(name) && !/^(User|Http|Https|Proxy)Agent$/.test(name)
const isBaseName = (name: string): boolean => /^(Abstract|Base)\w*Agent\w*$|^\w*Agent(Base|Runtime)$|^Agent$/.test(name)

function isAgent(agent: Agent): boolean {
  return agent.usesDefine || agent.runtime !== undefined || agent.agentClass !== undefined
}

function judge(agents: readonly Agent[], classes: ReadonlyMap<string, readonly string[]>): AuditFinding[] {
  if (agents.length < 2) return []
  const bases = new Map(agents.map((agent) => [agent, baseOf(agent, classes)]))
  const makers = agents.filter((agent) => definesBase(agent))
  const uses = [...bases.values()].filter((base) => base !== undefined)
  const main =
    mostCommon(uses) ?? (makers[0] === undefined ? undefined : [...makers[0].classes.keys()].find(isBaseName))
  if (main === undefined) return withoutAnyBase(agents)
  const home = makers.find((agent) => agent.classes.has(main))
  return agents.flatMap((agent) => {
    if (agent === home || (home === undefined && /^base[-_.]?agent$/i.test(agent.name))) return []
    return odd(agent, bases.get(agent), main, home)
  })
}

/** How one agent differs from the others, if it does. */
function odd(agent: Agent, base: string | undefined, main: string, home: Agent | undefined): AuditFinding[] {
  const others =
    home === undefined
      ? main
      : `${main} of ${home.name}${home.frameworks.size > 0 ? ` on ${[...home.frameworks].join(', ')}` : ''}`
  const isCopy = agent.classes.has(main) && home !== undefined
  const draft = agent.agentClass ?? agent.runtime
  if (isCopy && draft !== undefined) return [draft(OTHER_BASE, `${agent.name} carries its own copy of ${main}`)]
  if (base === main) return []
  if (base !== undefined)
    return draft === undefined ? [] : [draft(OTHER_BASE, `${agent.name} stands on ${base}, the others on ${others}`)]
  if (agent.runtime !== undefined) {
    return [
      agent.runtime(
        OWN_RUNTIME,
        `${agent.name} runs on ${[...agent.frameworks].join(', ')} of its own, the others on ${others}`,
      ),
    ]
  }
  return agent.agentClass === undefined
    ? []
    : [agent.agentClass(WITHOUT_BASE, `${agent.name} does not extend ${others}`)]
}

/** The base that the classes of an agent come down to, through classes of the repository; undefined when there is none. */
function baseOf(agent: Agent, classes: ReadonlyMap<string, readonly string[]>): string | undefined {
  if (agent.usesDefine) return 'defineAgent'
  for (const bases of agent.classes.values()) {
    const root = bases.map((base) => rootOf(base, classes, 0)).find((base) => base !== undefined)
    if (root !== undefined) return root
  }
  return undefined
}

function rootOf(name: string, classes: ReadonlyMap<string, readonly string[]>, depth: number): string | undefined {
  if (!isAgentName(name) && !isBaseName(name)) return undefined
  const further = depth > 10 ? [] : (classes.get(name) ?? [])
  return further.map((base) => rootOf(base, classes, depth + 1)).find((base) => base !== undefined) ?? name
}

/** It is the home of a base: it defines one that extends nothing of the kind. */
function definesBase(agent: Agent): boolean {
  return (
    [...agent.classes].some(([name, bases]) => isBaseName(name) && !bases.some(isAgentName)) &&
    /base|shared|core|common|^agent$/i.test(agent.name)
  )
}

function mostCommon(names: readonly string[]): string | undefined {
  const groups = [...Map.groupBy(names, (name) => name)].toSorted(
    ([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1),
  )
  return groups[0]?.[0]
}

/** Nobody shares anything: those that differ from the most common framework, or all of them when each brings its own. */
function withoutAnyBase(agents: readonly Agent[]): AuditFinding[] {
  const running = agents.filter(({ runtime }) => runtime !== undefined)
  if (running.length < 2) return []
  const common = mostCommon(running.flatMap(({ frameworks }) => [...frameworks])) ?? ''
  const differing = running.filter(({ frameworks }) => !frameworks.has(common))
  if (differing.length === 0) {
    const rule: Rule = { ...NO_SHARED_BASE, confidence: 'low' }
    return running.flatMap(
      (agent) =>
        agent.runtime?.(rule, `${agent.name} builds a ${common} application of its own; no base is shared`) ?? [],
    )
  }
  return differing.flatMap(
    (agent) =>
      agent.runtime?.(
        NO_SHARED_BASE,
        `${agent.name} runs on ${[...agent.frameworks].join(', ')}, the other agents on ${common}`,
      ) ?? [],
  )
}
