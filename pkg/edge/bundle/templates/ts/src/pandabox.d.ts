// What a function gets besides the request. Add your variables and secrets to Env.

export interface Env {
  KV: KV;
  // GREETING: string;
}

/** The environment's key-value store. Keys have 1 to 512 bytes, values up to 1 MiB. */
export interface KV {
  get(key: string): Promise<string | null>;
  put(key: string, value: string | ArrayBuffer | Uint8Array, options?: { expirationTtl?: number }): Promise<void>;
  delete(key: string): Promise<void>;
  list(options?: { prefix?: string; limit?: number; cursor?: string }): Promise<{
    keys: { name: string; expiration?: number }[];
    list_complete: boolean;
    cursor?: string;
  }>;
}

export interface ExecutionContext {
  /** Goes on with p after the answer has been sent. */
  waitUntil(p: Promise<unknown>): void;
  /** Of middleware (middleware = true): passes the request on to the app, and returns its answer. */
  next(request: Request): Promise<Response>;
}

export interface ScheduledEvent {
  /** The job's name. */
  job: string;
  /** Its schedule; "" where it was started by hand. */
  cron: string;
  /** When it was due, in milliseconds since 1970. */
  scheduledTime: number;
}
