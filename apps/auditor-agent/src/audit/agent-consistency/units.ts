import type { Services } from '../source/services.ts'

/** One agent as the repository lays it out: a folder, or a file of its own. */
export interface Unit {
  /** Path of the folder or the file. */
  readonly root: string
  readonly name: string
}

/**
 * The agent that a file belongs to: a folder below `agents/`, a folder called `…-agent`, a file in `agents/` or a file
 * called `…_agent`. Services around agents and code that they share are none.
 */
export function unitOf(path: string, services: Services): Unit | undefined {
  const segments = path.split('/')
  const file = segments.at(-1) ?? ''
  const folders = segments.slice(0, -1)
  const below = folders.findIndex((name) => /^agents$/i.test(name))
  if (below >= 0 && below + 1 < folders.length) {
    const root = deeper(segments.slice(0, below + 2).join('/'), services.of(path))
    return named(root)
  }
  const suffixed = folders.findIndex((name) => AGENT.test(name))
  if (suffixed >= 0) return named(segments.slice(0, suffixed + 1).join('/'))
  const stem = file.replace(/\.[cm]?[a-z]+$/i, '')
  const isAgentFile = below >= 0 || AGENT.test(stem) || stem.toLowerCase() === 'agent'
  return isAgentFile && !/^(__init__|index)$/.test(stem) ? named(path, stem) : undefined
}

const AGENT = /(^|[a-z0-9])[-_.]agent$/i

/** `agents/business/strategist` with a manifest of its own is an agent, `agents/business` a group. */
function deeper(root: string, service: string): string {
  return service.startsWith(`${root}/`) ? service : root
}

function named(root: string, stem?: string): Unit | undefined {
  const name = stem ?? root.slice(root.lastIndexOf('/') + 1)
  return NO_AGENT.test(name) ? undefined : { root, name }
}

const NO_AGENT =
  /^(shared|common|core|utils?|lib|libs|helpers|tests?|templates?|config|configs|schemas?|models?|types|tools|prompts|memory|docs|scripts|routers?|routes|registry|manager|router|user[-_.]agent|http[-_.]agent|https[-_.]agent|proxy[-_.]agent|https-proxy-agent)$|orchestrator|registry|gateway|dashboard|webhook|factory|proxy/i
