/** Hears which resources a legacy client wants to be told the changes of. */
export interface SubscriptionHooks {
  subscribe: (uri: string) => void;
  unsubscribe: (uri: string) => void;
  /** It has asked what resources there are: it may want to hear when that changes. */
  listed: () => void;
}
