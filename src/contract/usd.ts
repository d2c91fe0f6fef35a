/** An amount of US dollars as people read it: agents' turns cost hundredths of a cent. */
export const formatUsd = (usd: number) => `${usd.toFixed(4)} USD`;
