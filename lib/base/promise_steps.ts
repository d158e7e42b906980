/**
 * Lets everything go on that goes on by promises alone, for so many of their steps: what many tasks do in one turn of the
 * event loop can so be gathered without waiting for the next turn, which would cost a look at timers and sockets.
 */
export async function promiseSteps(steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await null;
}
