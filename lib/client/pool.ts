import type { Client, Remote } from "./client.ts";

/** Several sessions with one server as one: what moves data goes to the one that has the least to do. */
export function pool(clients: readonly [Client, ...Client[]]): Remote {
  const [first] = clients;
  if (clients.length === 1) return first;
  const busy = clients.map((client) => ({ client, jobs: 0 }));
  const spread = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
    const idlest = busy.reduce((best, one) => one.jobs < best.jobs ? one : best);
    idlest.jobs++;
    try {
      return await work(idlest.client);
    } finally {
      idlest.jobs--;
    }
  };
  return {
    list: (path, options) => first.list(path, options),
    stat: (path) => first.stat(path),
    mkdir: (path, options) => first.mkdir(path, options),
    readLink: (path) => first.readLink(path),
    symlink: (path, target) => first.symlink(path, target),
    touch: (path, attributes) => first.touch(path, attributes),
    get: (path, options) => spread((client) => client.get(path, options)),
    getSmall: (paths, options) => spread((client) => client.getSmall(paths, options)),
    put: (path, source, options) => spread((client) => client.put(path, source, options)),
    putSmall: (files, options) => spread((client) => client.putSmall(files, options)),
    hash: (path, options) => spread((client) => client.hash(path, options)),
  };
}
