/**
 * The one reader of the process environment here: the servers are programs of the machine, so the person's PATH decides
 * which are used, and apt and docker need their settings (proxy, DOCKER_HOST).
 */
// oxlint-disable-next-line node/no-process-env -- see above
const environment = process.env

export function searchPath(): string {
  return environment['PATH'] ?? '/usr/bin:/bin'
}

/** The person's environment for a tool that they could have run themselves, with changes. */
export function toolEnvironment(changes: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...environment, ...changes }
}
