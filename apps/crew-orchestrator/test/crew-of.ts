/** A crew of tasks, without the ceremony. Members are made from the tasks' skills. */
export function crewOf(
  name: string,
  tasks: readonly Record<string, unknown>[],
  spec: Record<string, unknown> = {},
): object {
  const skills = [...new Set(tasks.map((task) => (task['skill'] as string | undefined) ?? 'work'))]
  return {
    apiVersion: 'hypercode/v1',
    kind: 'Crew',
    metadata: { name },
    spec: {
      process: 'dag',
      members: skills.map((skill) => ({ id: skill.replaceAll('.', '-'), skill })),
      tasks: tasks.map(({ skill, ...task }) => ({
        member: ((skill as string | undefined) ?? 'work').replaceAll('.', '-'),
        ...task,
      })),
      ...spec,
    },
  }
}
