/** Who wants to change an agent. */
export interface Caller {
  readonly scopes: ReadonlySet<string>
  /** The client has registered instances: it is used by agents. */
  readonly isAgent: boolean
  /** Some of them are of the agent in question. */
  readonly ownsAgent: boolean
}

/**
 * May the caller change this agent? An agent acts only for itself: a client that agents use changes no agent of others. Whoever may
 * issue tokens could make itself another client, so it is not held back.
 */
export function mayManage({ scopes, isAgent, ownsAgent }: Caller): boolean {
  return ownsAgent || !isAgent || scopes.has('token:issue')
}
