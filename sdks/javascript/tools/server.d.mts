export function startServer(program: string, flags?: string[]): Promise<{ url: string; stop(): Promise<void> }>;
