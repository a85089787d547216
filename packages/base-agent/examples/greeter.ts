import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

const greeter = defineAgent({
  name: 'greeter',
  version: '1.0.0',
  slots: 4,
  skills: [{ id: 'greet', name: 'Greet somebody' }],
  input: Type.Object({ name: Type.String({ minLength: 1 }) }),
  output: Type.Object({ greeting: Type.String() }),
  async onTask(ctx, input) {
    const words = await ctx.step('choose words', () => ['Hello', 'Good day', 'Welcome'][input.name.length % 3])
    await ctx.progress(0.5, 'words chosen')
    return { greeting: `${words}, ${input.name}!` }
  },
})

await serve(greeter)
