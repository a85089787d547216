/** Keys of tasks that no manifest names: the elements of a forEach, and what undoes a task. Names of tasks hold neither `[` nor `:`. */

/** The key in the manifest; elements of a forEach belong to it. */
export const baseOf = (key: string): string => key.replace(/\[\d+\]$/, '')

export const compensationKey = (key: string): string => `${key}:compensate`
