/** The one reader of the process environment here: the person's PATH decides which bubblewrap is used. */
// oxlint-disable-next-line node/no-process-env -- see above
const environment = process.env

export function searchPath(): string {
  return environment['PATH'] ?? '/usr/bin:/bin'
}
