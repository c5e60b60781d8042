"""Letters and function words that distinguish languages: the data of the check `language`."""

SCRIPTS = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "GREEK": "el", "HEBREW": "he",
    "THAI": "th", "ARABIC": "ar", "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te",
    "GEORGIAN": "ka", "ARMENIAN": "hy", "KHMER": "km", "LAO": "lo", "MYANMAR": "my", "MALAYALAM": "ml",
    "KANNADA": "kn", "GUJARATI": "gu", "GURMUKHI": "pa", "SINHALA": "si", "ETHIOPIC": "am", "LATIN": "",
    "CYRILLIC": "",
}  # fmt: skip
"""First word of a character's Unicode name -> language; empty where the words decide."""

LETTERS = {
    "de": "ß", "es": "ñ¿¡", "pt": "ãõ", "fr": "œùêî", "pl": "łąęśźż", "cs": "řěů", "ro": "țșă", "hu": "őű",
    "tr": "ğıİş", "vi": "đơưạảấầẩậắằẵặẹẻẽếềểễệỉịọỏốồổỗộớờởợụủứừửữựỳỷỹ", "ru": "ыэё", "uk": "іїєґ",
    "sr": "ђјљњћџ", "fa": "پچژگ", "ur": "ٹڈڑےں",
}  # fmt: skip
"""Letters that only one language has, nearly: as good as a little word."""

WORDS = {
    "en": "the a an and of to in is it that you i he she we they was were are be been have has had do "
    "does did not this with for on at but my your his her our their what who how why there will "
    "would can could just so if or as from by about me him them don't it's i'm you're that's can't "
    "didn't oh yeah okay know get go no now all out up one like think well right really good see "
    "come want when where let's i'll gonna hey please too im dont cant didnt thats ive i've we're "
    "they're isn't won't doesn't got tell look need make some any more because maybe guess sorry "
    "thank thanks into very then than only over never always every",
    "de": "der die das und ist nicht ich du er sie es wir ihr ein eine einen einem einer zu zum zur mit "
    "auf für von den dem des im am bei auch wie was wenn aber oder sind war hat habe haben noch nur "
    "so schon dass kann wird werden mir mich dir dich uns sein mein dein kein nein ja hier da doch "
    "mal nach aus über man sich als",
    "fr": "le la les un une des et est de du je tu il elle nous vous ils ne pas que qui ce c'est j'ai "
    "dans pour sur avec au aux mais ou où plus se sa son ses mon ma mes ton votre notre être avoir "
    "fait comme tout bien si on cette sont été très non oui en y a l' d' qu'il qu'on leur quand "
    "n'est était donc même",
    "es": "el la los las un una y es de del que no en por para con se su sus lo le les me te mi tu yo él "
    "ella muy pero como más está están esto eso este esta al ha he hay fue ser son qué cuando "
    "porque si sí también todo bien nos aquí donde ya tiene era o a hola",
    "it": "il lo la i gli le un una uno di che è e non per con in del della dei delle nel nella al alla "
    "sono ho hai ha ci si mi ti lei lui noi voi questo questa come ma anche più se perché cosa "
    "quando tutto bene molto da io tu era essere c'è dal sul suo sua o già ancora",
    "pt": "o a os as um uma e é de do da dos das que não em no na nos nas por para com se eu você ele ela "
    "nós eles mais mas como foi ser está isso este esta muito também ao à seu sua meu minha quando "
    "tem já bem só me te são era aqui então pelo pela ou",
    "nl": "de het een en is van ik je jij hij zij we wij niet dat die in op te zijn met voor aan maar ook "
    "er wat als om naar nog wel dan bij uit hebben heeft heb kan geen mijn uw deze dit hoe waar wie "
    "moet door over worden ja nee ze hem haar ons",
    "sv": "och att det är en ett som jag du han hon vi de inte på för med av till den har om så men var "
    "kan ska man från mig dig sig nu när hur vad här där eller bara min din också ju vill skulle "
    "mycket några",
    "da": "og at det er en et som jeg du han hun vi de ikke på for med af til den har om så men var kan "
    "skal man fra mig dig sig nu når hvordan hvad her der eller kun min din også jo vil meget nogle "
    "hvor blev",
    "no": "og at det er en et som jeg du han hun vi de ikke på for med av til den har om så men var kan "
    "skal man fra meg deg seg nå når hvordan hva her der eller bare min din også jo vil mye noen "
    "hvor ble",
    "fi": "ja on ei se että hän minä sinä me te he oli ovat mutta niin kuin myös joka tämä mitä kun vain "
    "nyt jos en olen ole sitä minun sinun kanssa sen tai hyvin",
    "pl": "i w nie na się że to jest z do jak ale co tak o za po czy już dla ja ty on ona my wy tego jego "
    "mnie mi cię są był była być bardzo tylko kiedy gdzie kto od przez",
    "cs": "a v ne na se že to je s do jak ale co tak o za po už pro já ty on ona my vy jsem jsi jsou byl "
    "byla být velmi jen když kde kdo od jeho není mě mi",
    "ro": "și în nu la se că este e cu de pe ce dar mai un o eu tu el ea noi voi sunt am ai are fi foarte "
    "când unde cine din pentru asta mă ne să ca",
    "hu": "a az és nem hogy is egy ez van meg de mi ki én te ő mint csak már most ha volt vagy még el "
    "kell nagyon azt itt ott lesz jó mert",
    "tr": "ve bir bu da de ne için ben sen o biz siz çok mi mı var yok ama gibi daha en kadar değil ile "
    "her şey evet hayır nasıl neden şimdi olarak ki sonra",
    "id": "yang dan di ini itu tidak dengan untuk ke dari saya kamu dia kami kita mereka ada akan bisa "
    "sudah juga pada adalah apa bukan aku ya karena saja lagi",
    "vi": "và là của có không tôi bạn anh em cho với một những các này đó được người trong đi rồi thì đã "
    "sẽ ở",
    "ru": "и в не на я что он она мы вы ты они это как с по но а у так за же бы то от из для меня мне его "
    "её если да нет все был была было есть когда только ещё очень где кто",
    "uk": "і в не на я що він вона ми ви ти вони це як з по але а у так за же би від для мене мені його "
    "її якщо та ні був була було є коли тільки ще дуже де хто",
    "bg": "и в не на аз че той тя ние вие ти те това как с по но а у така за да от из ме ми го ако съм е "
    "са беше има когато само още много къде кой какво ще се",
    "sr": "и у не на ја да он она ми ви ти они то како са по али а је за би од из мене га ако сам су био "
    "била има када само још много где ко шта ће се",
}  # fmt: skip
"""The commonest little words of each language."""
